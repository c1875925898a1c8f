#include "service/control.h"

#include <new>
#include <utility>

#include "core/error.h"

namespace veilnet::service {

Control::~Control() {
  if (thread_.joinable()) thread_.join();
}

void Control::load(const std::string& model, Done done) {
  start([this, model] { repository_.load(model); }, std::move(done));
}

void Control::unload(const std::string& model, Done done) {
  start([this, model] { repository_.unload(model); }, std::move(done));
}

void Control::start(std::function<void()> work, Done done) {
  {
    const std::lock_guard lock(mutex_);
    if (!busy_) {
      if (thread_.joinable()) thread_.join();
      busy_ = true;
      thread_ = std::thread([this, work = std::move(work), done = std::move(done)] {
        std::optional<Failure> failure;
        try {
          work();
        } catch (const Error& e) {
          failure = {reason_of(e.code()), e.what()};
        } catch (const std::bad_alloc&) {
          failure = {Reason::Overloaded, "not enough memory for this model"};
        } catch (const std::exception& e) {
          failure = {Reason::Failed, e.what()};
        }
        {
          const std::lock_guard own(mutex_);
          busy_ = false;
        }
        done(std::move(failure));
      });
      return;
    }
  }
  done(Failure{Reason::Overloaded, "another model is being loaded"});
}

}  // namespace veilnet::service
