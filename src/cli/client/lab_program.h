// Finding veilnet-lab.
#pragma once

#include <string>

namespace veilnet::cli {

/// The veilnet-lab that lies beside this program, or its bare name, for PATH to find, where none
/// does.
std::string lab_program();

}  // namespace veilnet::cli
