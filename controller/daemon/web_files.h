/* web_files.h - room controller/daemon: the dashboard's files, as they were packed into the program.
 * Never: files of the host, or anything that depends on who asks. */
#ifndef VCC_WEB_FILES_H
#define VCC_WEB_FILES_H

#include "controller/daemon/http_server.h"

struct controller_conf;

/* Is this one of their paths: "/", "/w/BUILD/NAME"? */
bool web_files_own(const char *path);
void web_files_handle(const struct controller_conf *conf, struct http_call *call);

#endif
