# SPDX-License-Identifier: BSD-3-Clause
# How every file of ours is compiled. Nothing here reaches the users of the installed package.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(PROJECT_IS_TOP_LEVEL)
  add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast
                      -Woverloaded-virtual)
endif()

if(COPPICE_SANITIZE)
  # No check for null: CAF's headers dereference a null std::shared_ptr<std::tuple<>> whenever a
  # function is spawned without arguments.
  set(COPPICE_SANITIZE_FLAGS -fsanitize=${COPPICE_SANITIZE} -fno-sanitize=null
                             -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_compile_options(${COPPICE_SANITIZE_FLAGS})
  add_link_options(-fsanitize=${COPPICE_SANITIZE})
  # ThreadSanitizer does not model fences, and g++ refuses them. Asio has one around each handler,
  # beside the locks that order the same memory.
  if(COPPICE_SANITIZE STREQUAL "thread")
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

# For tests, and for what where all is tested only has to compile: not optimised, and without the
# checks that take longest to compile. What is tested keeps both.
set(COPPICE_QUICK_OPTIONS $<$<CONFIG:Debug>:-O0>)
if(COPPICE_SANITIZE MATCHES "undefined")
  list(APPEND COPPICE_QUICK_OPTIONS -fno-sanitize=alignment,vptr,object-size)
endif()

find_program(CCACHE_PROGRAM ccache)
mark_as_advanced(CCACHE_PROGRAM)
if(PROJECT_IS_TOP_LEVEL AND CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
