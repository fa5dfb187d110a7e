/* named_file.c - room controller/cli: a file that a person named is no object of the controller: whoever mistyped it needs another next step.
 * Never: a file of the installation. */
#include "controller/cli/named_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "controller/cli/client.h"
#include "shared/sys/file.h"

int named_file_read(const char *path, bool secret, struct buf *to, struct refusal *why)
{
	int r = file_read(AT_FDCWD, path, secret, to, why);
	if (r == E_NOT_FOUND || r == E_SYS_IO || r == E_SYS_UNSAFE_PATH)
		r = why->code = E_CLI_FILE;
	return r;
}

int named_file_exit(int r)
{
	return r == E_CLI_FILE || r == E_CLI_USAGE || r == E_FULL || r == E_NOMEM ? EXIT_USAGE : EXIT_FAILED;
}

int named_file_refuse(const char *path, const char *doing, struct refusal *why)
{
	return refuse(why, E_CLI_FILE, path, "cannot %s: %s", doing, strerror(errno));
}
