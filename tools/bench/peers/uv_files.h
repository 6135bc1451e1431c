/* SPDX-License-Identifier: MIT */
/* Peer libuv: rows of files, names and the pool of threads, which do all of it in libuv. */
#ifndef PEERS_UV_FILES_H
#define PEERS_UV_FILES_H

#include "peer.h"

void uv_name_open(struct peer_run *run);
void uv_name_create(struct peer_run *run);
void uv_name_rename(struct peer_run *run);
void uv_file_stat(struct peer_run *run);
void uv_file_load(struct peer_run *run);
void uv_blocking(struct peer_run *run);
void uv_list_1000(struct peer_run *run);

#endif /* PEERS_UV_FILES_H */
