// One message to the service manager that started this process, as sd_notify(3) describes it. Knows
// neither the variable that names the manager's socket nor what the messages mean: that is
// src/agent/service_manager.ts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace rxscope {

// Sends `message` to a datagram socket: the path of a file, or a name in the abstract namespace with
// `@` before it. Never waits. Throws Failure, with EINVAL for a name that no socket can have.
void NotifyService(const std::string& socket, const std::string& message);

}  // namespace rxscope
