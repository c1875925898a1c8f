// The border of the library: what is thrown inside becomes what the public header promises.
#pragma once

#include <new>
#include <utility>

#include "core/error.h"
#include "veilnet/veilnet.h"

namespace veilnet::api {

Cause cause_of(ErrorCode code);

/// Calls `body`. @throws Failure for every exception but std::bad_alloc.
template <class Body>
decltype(auto) guarded(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& e) {
    throw Failure(cause_of(e.code()), e.what());
  } catch (const Failure&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    throw Failure(Cause::Other, e.what());
  }
}

}  // namespace veilnet::api
