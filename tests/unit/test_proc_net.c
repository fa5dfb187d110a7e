/* test_proc_net.c - are listening sockets, and only those, found in lines of /proc/net/tcp? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/proc_net.h"
#include "agent/survey/process_facts.h"

#define REST " 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0\n"

static void must_refuse(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
		"   0: 0100007F:1F90 0100007F:0050 01" REST, /* connected */
		"   0: 0100007F:0000 00000000:0000 0A" REST, /* no port */
		"   0: 0100007F1F90 00000000:0000 0A" REST,
		"   0: 01007F:1F90 00000000:0000 0A" REST,                                                   /* short address */
		"   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A" REST, /* v6 in the v4
														file */
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n",       /* no inode */
		"   0: zz00007F:1F90 00000000:0000 0A" REST,
	};
	struct listen_socket s;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(lines); i++)
		assert_false(proc_net_line(lines[i], false, &s));
	assert_false(proc_net_line("   0: 0100007F:1F90 00000000:0000 0A" REST, true, &s)); /* v4 in the v6 file */
}

static void addresses(void **state)
{
	static const struct {
		const char *line;
		bool        v6;
		const char *address, *reach;
	} rows[] = {
		{"   0: 0100007F:01BB 00000000:0000 0A" REST, false, "127.0.0.1:443", "127.0.0.1:443"},
		{"  12: 00000000:01BB 00000000:0000 0A" REST, false, "0.0.0.0:443", "127.0.0.1:443"},
		{"   0: 0A0200C0:FFFF 00000000:0000 0A" REST, false, "192.0.2.10:65535", "192.0.2.10:65535"},
		{"   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A" REST, true, "[::]:443",
		 "[::1]:443"},
		{"   0: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A" REST, true, "[::1]:443",
		 "[::1]:443"},
		{"   0: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A" REST, true,
		 "[2001:db8::1]:443", "[2001:db8::1]:443"},
		{"   0: 0000000000000000FFFF00000100007F:01BB 00000000000000000000000000000000:0000 0A" REST, true,
		 "127.0.0.1:443", "127.0.0.1:443"},
		{"   0: 0000000000000000FFFF000000000000:01BB 00000000000000000000000000000000:0000 0A" REST, true,
		 "0.0.0.0:443", "127.0.0.1:443"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct listen_socket s;
		assert_true(proc_net_line(rows[i].line, rows[i].v6, &s));
		assert_string_equal(s.address, rows[i].address);
		assert_string_equal(s.reach, rows[i].reach);
		assert_int_equal(s.inode, 12345);
	}
}

/* A socket of this process is found, and this process behind it. */
static void own_socket(void **state)
{
	static struct listen_socket sockets[LISTEN_SOCKETS_MAX];
	struct process_facts        f;
	struct refusal              why = {.code = 0};
	struct stat                 st;
	struct sockaddr_in          at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t                   n_at = sizeof(at);
	size_t                      n;
	size_t                      more;
	char                        wanted[ADDRESS_SIZE];
	int                         fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n_at), 0);
	assert_int_equal(fstat(fd, &st), 0);
	snprintf(wanted, sizeof(wanted), "127.0.0.1:%u", ntohs(at.sin_port));

	assert_int_equal(proc_net_list(sockets, LISTEN_SOCKETS_MAX, &n, &more, &why), 0);
	size_t i = 0;
	while (i < n && strcmp(sockets[i].address, wanted) != 0)
		i++;
	assert_true(i < n);
	assert_int_equal(sockets[i].inode, st.st_ino);
	assert_int_equal(process_facts_find(&sockets[i].inode, 1, &f, &why), 0);
	assert_int_equal(f.pid, getpid());
	assert_int_equal(f.uid, geteuid());
	assert_string_equal(f.program, "test_proc_net");
	char    exe[sizeof(f.exe)];
	ssize_t n_exe = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	assert_true(n_exe > 0);
	exe[n_exe] = '\0';
	assert_string_equal(f.exe, exe);

	/* what does not fit is counted */
	assert_int_equal(proc_net_list(sockets, 0, &n, &more, &why), 0);
	assert_int_equal(n, 0);
	assert_true(more > 0);
	close(fd);
}

static void units(void **state)
{
	static const struct {
		const char *cgroup, *unit;
	} rows[] = {
		{"", ""},
		{"0::/\n", ""},
		{"0::/system.slice/nginx.service\n", "nginx.service"},
		{"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", "postgresql@15-main.service"},
		{"12:cpu:/x.service\n1:name=systemd:/system.slice/haproxy.service\n0::/\n", "haproxy.service"},
		{"12:cpu:/x.service\n", ""}, /* not systemd's hierarchy */
		{"0::/user.slice/user-0.slice/session-1.scope\n", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n", ""},
		{"0::/system.slice/nginx.service/child\n", "nginx.service"},
		{"0::/system.slice/.service\n", ""},
		{"no colon\n0::/system.slice/a.service", "a.service"},
	};
	char unit[INVENTORY_UNIT_SIZE];
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		process_unit(rows[i].cgroup, unit);
		assert_string_equal(unit, rows[i].unit);
	}
}

static void starts(void **state)
{
	(void)state;
	assert_int_equal(process_start(""), -1);
	assert_int_equal(process_start("1 (a"), -1);
	assert_int_equal(process_start("1 (a) S 1 2 3"), -1);
	assert_int_equal(process_start("7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1"), 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(must_refuse), cmocka_unit_test(addresses), cmocka_unit_test(own_socket),
		cmocka_unit_test(units),       cmocka_unit_test(starts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
