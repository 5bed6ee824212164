/*
 * rabbitmq - RabbitMQ as a peer (../peer.h): a broker of its own on loopback
 * with a durable classic queue, persistent messages of 1 KiB, and publisher
 * confirms, pipelined with up to WINDOW unconfirmed. A round is "confirm 1 N".
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BODY 1024
#define WINDOW 1000
#define SERVER "/usr/lib/rabbitmq/bin/rabbitmq-server"

static pid_t server;
static char folder[256];
static int port;
static amqp_connection_state_t conn;

static void
stop(void)
{
	char command[80];

	if (server <= 0)
		return;
	kill(-server, SIGTERM); /* a shell, and the machine it started */
	for (int i = 0; i < 100 && waitpid(server, NULL, WNOHANG) == 0; i++)
		usleep(100000);
	kill(-server, SIGKILL);
	server = 0;
	/* Erlang's name server went its own way; this one is on our port */
	snprintf(command, sizeof(command),
	    "epmd -port %d -kill >/dev/null 2>&1", port + 2);
	if (system(command) != 0)
		fprintf(stderr, "rabbitmq: epmd is left\n");
}

static void
die(const char *what)
{
	fprintf(stderr, "rabbitmq: %s\n", what);
	stop();
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
set(const char *name, const char *fmt, const char *value)
{
	char text[600];

	snprintf(text, sizeof(text), fmt, value);
	setenv(name, text, 1);
}

static void
start(void)
{
	char path[300], text[300];
	FILE *f;

	if (access(SERVER, X_OK) != 0)
		die("there is no " SERVER);
	port = 20000 + (int)getpid() % 20000;
	snprintf(path, sizeof(path), "%s/rabbitmq.conf", folder);
	f = fopen(path, "w");
	if (f == NULL)
		die("its folder cannot be written");
	fprintf(f, "listeners.tcp.1 = 127.0.0.1:%d\n", port);
	fclose(f);
	snprintf(text, sizeof(text), "bench%d@localhost", (int)getpid());
	set("RABBITMQ_NODENAME", "%s", text);
	snprintf(text, sizeof(text), "%d", port + 1);
	set("RABBITMQ_DIST_PORT", "%s", text);
	snprintf(text, sizeof(text), "%d", port + 2);
	set("ERL_EPMD_PORT", "%s", text);
	set("ERL_EPMD_ADDRESS", "%s", "127.0.0.1");
	set("ERL_EPMD_RELAXED_COMMAND_CHECK", "%s", "1"); /* see stop() */
	set("HOME", "%s", folder);
	set("RABBITMQ_MNESIA_BASE", "%s/mnesia", folder);
	set("RABBITMQ_LOG_BASE", "%s/log", folder);
	set("RABBITMQ_CONFIG_FILE", "%s/rabbitmq", folder);
	set("RABBITMQ_PID_FILE", "%s/pid", folder);
	set("RABBITMQ_ENABLED_PLUGINS_FILE", "%s/plugins", folder);
	set("RABBITMQ_CONF_ENV_FILE", "%s", "/dev/null");
	set("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "%s",
	    "-kernel inet_dist_use_interface {127,0,0,1}");
	server = fork();
	if (server == 0) {
		setsid();
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		freopen("/dev/null", "w", stdout);
		freopen("/dev/null", "w", stderr);
		execl(SERVER, SERVER, (char *)NULL);
		_exit(127);
	}
}

static void
ok(amqp_rpc_reply_t r, const char *what)
{
	if (r.reply_type != AMQP_RESPONSE_NORMAL)
		die(what);
}

static void
dial(void)
{
	amqp_queue_declare_ok_t *q;

	for (int i = 0;; i++) {
		amqp_socket_t *s;

		conn = amqp_new_connection();
		s = amqp_tcp_socket_new(conn);
		if (s != NULL && amqp_socket_open(s, "127.0.0.1", port) == 0)
			break;
		amqp_destroy_connection(conn);
		if (i == 600 || waitpid(server, NULL, WNOHANG) == server)
			die("it did not start");
		usleep(100000);
	}
	ok(amqp_login(conn, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest",
	       "guest"),
	    "login");
	amqp_channel_open(conn, 1);
	ok(amqp_get_rpc_reply(conn), "channel");
	q = amqp_queue_declare(conn, 1, amqp_cstring_bytes("events"), 0, 1, 0,
	    0, amqp_empty_table);
	if (q == NULL)
		die("queue");
	amqp_confirm_select(conn, 1);
	ok(amqp_get_rpc_reply(conn), "confirm");
}

/* Tags confirmed, over all rounds: all below `floor`, and some above. */
static uint64_t floor_tag = 1, confirmed;
static unsigned char above[WINDOW + 1]; /* by tag % (WINDOW + 1) */

static void
confirm_one(uint64_t tag)
{
	unsigned char *seen = &above[tag % (WINDOW + 1)];

	confirmed += !*seen;
	*seen = 1;
	while (above[floor_tag % (WINDOW + 1)]) {
		above[floor_tag % (WINDOW + 1)] = 0;
		floor_tag++;
	}
}

/* One acknowledgement: of one message, or of all up to it. */
static void
acked(void)
{
	const amqp_basic_ack_t *a;
	amqp_frame_t frame;

	amqp_maybe_release_buffers(conn);
	if (amqp_simple_wait_frame(conn, &frame) != AMQP_STATUS_OK)
		die("no answer");
	if (frame.frame_type != AMQP_FRAME_METHOD ||
	    frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
		die("refused");
	a = frame.payload.method.decoded;
	if (!a->multiple)
		confirm_one(a->delivery_tag);
	else
		while (floor_tag <= a->delivery_tag)
			confirm_one(floor_tag);
}

static double
round_confirm(unsigned long n)
{
	static char body[BODY];
	uint64_t first = confirmed, sent = 0;
	amqp_basic_properties_t p = {
	    ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
	double t = now();

	while (confirmed - first < n) {
		while (sent < n && first + sent + 1 - floor_tag < WINDOW) {
			if (amqp_basic_publish(conn, 1, amqp_empty_bytes,
				amqp_cstring_bytes("events"), 0, 0, &p,
				(amqp_bytes_t){BODY, body}) != AMQP_STATUS_OK)
				die("publish");
			sent++;
		}
		acked();
	}
	return now() - t;
}

int
main(int argc, char **argv)
{
	char line[128], how[16];
	unsigned long n;
	int count;

	snprintf(folder, sizeof(folder), "%s", argc > 1 ? argv[1] : ".");
	start();
	dial();
	printf("RabbitMQ, a durable classic queue, persistent messages, "
	       "publisher confirms, up to %d unconfirmed\n",
	    WINDOW);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%15s %d %lu", how, &count, &n) != 3)
			die("round");
		printf("%f\n", round_confirm(n) / (double)n * 1e6);
		fflush(stdout);
		amqp_queue_purge(conn, 1, amqp_cstring_bytes("events"));
	}
	amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
	stop();
	return 0;
}
