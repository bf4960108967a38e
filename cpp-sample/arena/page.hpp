// page.html as the server gives it to browsers. It is part of the program: CMake writes its bytes.
#pragma once

#include "sockeye.hpp"

namespace arena {

inline sockeye_http_page page_for_browsers()
{
    static const unsigned char bytes[] = {
#include "page.inc"
    };
    return {"/", "text/html; charset=utf-8", bytes, sizeof bytes};
}

} // namespace arena
