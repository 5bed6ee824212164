/*
 * bench_webhook - from a signed webhook to its 200: `vayla run` with a shop, a
 * payment provider and books; every request is another order of 1.9 kB with its
 * own signature, over CONNECTIONS kept-alive connections. Beside it, in turn:
 * Node-RED, which verifies the same signature, maps the order by JSONata and
 * stores nothing; and the floor: one thread writing the same bodies, each with
 * an fdatasync of its own (what a receiver without a journal of turns would
 * pay).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/crypt.h"
#include "broker/base/file.h"
#include "tests/bench/peer.h"

#define ORDERS 4000    /* a round */
#define RED_ORDERS 800 /* of Node-RED */
#define CONNECTIONS 16
#define ROUNDS 5
#define SECRET "bench-secret"

static char dir[200];
static pid_t child;
static int port; /* of ours, and Node-RED's: two further */
static int target;
static struct buf sample;
static unsigned long number = 100000;

struct request {
	char *bytes;
	size_t n;
	double ms;
};
static struct request *requests;
static size_t next_request, orders;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void
die(const char *what)
{
	fprintf(stderr, "bench_webhook: %s: %s\n", what, err_last());
	if (child > 0)
		kill(child, SIGTERM);
	exit(1);
}

static void
start(void)
{
	const char *build = getenv("VAYLA_BUILD");
	char config[2048], program[256], file[256];

	snprintf(dir, sizeof(dir), "%s/vayla-bench.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/var/tmp");
	if (mkdtemp(dir) == NULL)
		die("mkdtemp");
	port = 20000 + (int)getpid() % 20000;
	snprintf(config, sizeof(config),
	    "broker:\n  data: %s/data\n  bus: \"ipc://%s/bus.sock\"\n"
	    "  console: http://127.0.0.1:%d\n"
	    "receiver:\n  listen: http://127.0.0.1:%d\n"
	    "systems:\n"
	    "  shop: {use: woocommerce, webhook_secret: \"" SECRET "\"}\n"
	    "  payments: {use: paytrail, of: shop, secret: \"" SECRET "\"}\n"
	    "  books: {use: ledger, mode: live, folder: %s/books}\n",
	    dir, dir, port + 1, port, dir);
	snprintf(file, sizeof(file), "%s/vayla.yaml", dir);
	if (file_write(file, slice_str(config), 0600) != ERR_OK)
		die("config");
	snprintf(program, sizeof(program), "%s/vayla",
	    build != NULL ? build : "build");
	child = fork();
	if (child == 0) {
		char log[256];
		int fd;

		snprintf(log, sizeof(log), "%s/log", dir);
		fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(program, program, "run", file, (char *)NULL);
		_exit(127);
	}
}

static int
dial(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)target),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The sample with another order number and id, signed. */
static void
make(struct request *r)
{
	struct buf body, all, mac;
	uint8_t digest[HASH_MAX];
	char id[32];
	const char *p = buf_cstr(&sample), *at;

	snprintf(id, sizeof(id), "%lu", number++);
	buf_init(&body, 1 << 16);
	buf_init(&all, 1 << 16);
	buf_init(&mac, 128);
	while ((at = strstr(p, "@NUMBER@")) != NULL) {
		buf_put(&body, p, (size_t)(at - p));
		buf_str(&body, id);
		p = at + 8;
	}
	buf_str(&body, p);
	if (hmac(HASH_SHA256, SLICE_LIT(SECRET), buf_all(&body), digest) !=
	    ERR_OK)
		die("hmac");
	base64_put(&mac, slice_of(digest, 32));
	buf_printf(&all,
	    "POST /in/shop HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Content-Type: application/json\r\n"
	    "X-WC-Webhook-Topic: order.created\r\n"
	    "X-WC-Webhook-Signature: %s\r\nContent-Length: %zu\r\n\r\n",
	    buf_cstr(&mac), body.n);
	buf_slice(&all, buf_all(&body));
	r->n = all.n;
	r->bytes = malloc(all.n);
	memcpy(r->bytes, all.p, all.n);
	buf_fini(&body);
	buf_fini(&all);
	buf_fini(&mac);
}

/* Head and body? */
static bool
whole(const char *answer, size_t n)
{
	const char *end = strstr(answer, "\r\n\r\n");
	const char *length = strcasestr(answer, "\r\nContent-Length:");

	if (end == NULL)
		return false;
	return length == NULL || length > end ||
	       n - (size_t)(end + 4 - answer) >= strtoul(length + 17, NULL, 10);
}

static void
exchange(int fd, struct request *r)
{
	char answer[4096];
	size_t n = 0;
	ssize_t got;
	double t = bench_now();

	for (size_t at = 0; at < r->n;) {
		ssize_t w = send(fd, r->bytes + at, r->n - at, MSG_NOSIGNAL);

		if (w <= 0)
			die("send");
		at += (size_t)w;
	}
	for (;;) {
		got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
		if (got <= 0)
			die("the connection ended; see the log");
		n += (size_t)got;
		answer[n] = '\0';
		if (whole(answer, n))
			break;
	}
	if (strncmp(answer, "HTTP/1.1 200", 12) != 0) {
		fprintf(stderr, "%.200s\n", answer);
		die("not a 200");
	}
	r->ms = (bench_now() - t) * 1000;
}

static void *
work(void *arg)
{
	int fd = dial();
	size_t i;

	(void)arg;
	if (fd < 0)
		die("connect");
	for (;;) {
		pthread_mutex_lock(&lock);
		i = next_request++;
		pthread_mutex_unlock(&lock);
		if (i >= orders)
			break;
		exchange(fd, &requests[i]);
	}
	close(fd);
	return NULL;
}

/* `n` webhooks to `to`: a second, and how long each took. */
static double
round_of(int to, size_t n, double *p50, double *p99)
{
	pthread_t t[CONNECTIONS];
	double ms[ORDERS], begin;

	target = to;
	orders = n;
	for (size_t i = 0; i < n; i++)
		make(&requests[i]);
	next_request = 0;
	begin = bench_now();
	for (size_t i = 0; i < CONNECTIONS; i++)
		pthread_create(&t[i], NULL, work, NULL);
	for (size_t i = 0; i < CONNECTIONS; i++)
		pthread_join(t[i], NULL);
	begin = bench_now() - begin;
	for (size_t i = 0; i < n; i++) {
		ms[i] = requests[i].ms;
		free(requests[i].bytes);
	}
	*p50 = bench_median(ms, n);
	*p99 = ms[n * 99 / 100];
	return (double)n / begin;
}

static double
round_floor(void)
{
	char path[256];
	double t;
	int fd;

	snprintf(path, sizeof(path), "%s/floor", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	t = bench_now();
	for (size_t i = 0; i < ORDERS; i++)
		if (write(fd, sample.p, sample.n) < 0 || fdatasync(fd) != 0)
			die("floor");
	t = bench_now() - t;
	close(fd);
	return ORDERS / t;
}

static void
start_red(struct peer *red)
{
	char folder[256], number_of[16], modules[256];
	const char *js[] = {"node", "tests/bench/peers/node-red.js", folder,
	    number_of, SECRET, NULL};

	snprintf(folder, sizeof(folder), "%s/node-red", dir);
	snprintf(number_of, sizeof(number_of), "%d", port + 2);
	snprintf(modules, sizeof(modules), "%s/node_modules", peer_folder());
	setenv("BENCH_MODULES", modules, 1);
	if (dir_make(folder) != ERR_OK)
		die(folder);
	peer_start(red, "Node-RED", js);
}

static void
compare(struct peer *red)
{
	double ours[ROUNDS], floors[ROUNDS], p50[ROUNDS], p99[ROUNDS];
	double reds[ROUNDS] = {0}, red50[ROUNDS] = {0}, red99[ROUNDS] = {0};

	for (int r = 0; r < ROUNDS; r++) {
		ours[r] = round_of(port, ORDERS, &p50[r], &p99[r]);
		if (red->pid > 0)
			reds[r] = round_of(
			    port + 2, RED_ORDERS, &red50[r], &red99[r]);
		floors[r] = round_floor();
		fprintf(stderr,
		    "round %d: %.0f/s, p50 %.2f ms, p99 %.2f ms; Node-RED "
		    "%.0f/s, p99 %.2f ms; floor %.0f/s\n",
		    r + 1, ours[r], p50[r], p99[r], reds[r], red99[r],
		    floors[r]);
	}
	bench_line("webhook_to_200", bench_median(ours, ROUNDS), "requests/s",
	    "Node-RED, nothing stored", bench_median(reds, ROUNDS));
	bench_line("webhook_to_200", bench_median(ours, ROUNDS), "requests/s",
	    "write+fdatasync each", bench_median(floors, ROUNDS));
	bench_time("webhook_to_200_p50", bench_median(p50, ROUNDS), "ms",
	    "Node-RED, nothing stored", bench_median(red50, ROUNDS));
	bench_time("webhook_to_200_p99", bench_median(p99, ROUNDS), "ms",
	    "Node-RED, nothing stored", bench_median(red99, ROUNDS));
}

int
main(void)
{
	double p50, p99;
	struct peer red;
	char clean[300];
	int fd = -1;

	buf_init(&sample, 1 << 16);
	if (file_read("tests/samples/webhook.json", &sample) != ERR_OK)
		die("sample");
	requests = calloc(ORDERS, sizeof(*requests));
	start();
	target = port;
	for (int i = 0; i < 200 && (fd = dial()) < 0; i++)
		usleep(100000);
	if (fd < 0)
		die("vayla run does not listen; see its log");
	close(fd);
	start_red(&red);
	(void)round_of(port, ORDERS, &p50, &p99); /* warm-up */
	if (red.pid > 0)
		(void)round_of(port + 2, RED_ORDERS, &p50, &p99);
	compare(&red);
	peer_stop(&red);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	free(requests);
	snprintf(clean, sizeof(clean), "rm -rf '%s'", dir);
	return system(clean) != 0;
}
