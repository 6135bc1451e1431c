/* SPDX-License-Identifier: MIT */
/* What the peers of Boost add: an exception that nobody catches is a failure like others. */
#ifndef PEERS_BOOST_H
#define PEERS_BOOST_H

#include <boost/version.hpp>
#include <exception>
#include <string>

#include "peer.h"

[[noreturn]] inline void peer_fail_uncaught()
{
    try {
        std::rethrow_exception(std::current_exception());
    } catch (const std::exception &error) {
        peer_fail("%s", error.what());
    }
}

/* peer_main(), with the version of Boost behind the library's name. */
inline int peer_main_boost(int argc, char **argv, const char *library, const peer_row *rows,
                           std::size_t count)
{
    const std::string version = std::string(library) + " " +
                                std::to_string(BOOST_VERSION / 100000) + "." +
                                std::to_string(BOOST_VERSION / 100 % 1000);

    std::set_terminate(peer_fail_uncaught);
    return peer_main(argc, argv, version.c_str(), rows, count);
}

#endif /* PEERS_BOOST_H */
