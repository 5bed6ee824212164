/*
 * nats - NATS JetStream as a peer (../peer.h): a nats-server of its own with
 * one file-backed stream and its defaults, which sync every two minutes. A
 * round is "async PRODUCERS N", pipelined with up to WINDOW messages
 * unconfirmed on each of so many connections, or "sync 1 N", each confirmed
 * before the next. One message is one event of 1 KiB; subjects are mixed as
 * ../bus.h mixes ours.
 */
#include <nats/nats.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BODY 1024
#define WINDOW 4096
#define PRODUCERS 4

static pid_t server;
static char url[64], folder[256];
static char body[BODY];
static unsigned long made;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "nats: %s: %s\n", what, why);
	if (server > 0)
		kill(server, SIGKILL);
	exit(1);
}

static void
check(const char *what, natsStatus s)
{
	if (s != NATS_OK)
		die(what, natsStatus_GetText(s));
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
start(void)
{
	char path[300];
	FILE *f;
	int port = 20000 + (int)getpid() % 20000;

	snprintf(path, sizeof(path), "%s/nats.conf", folder);
	snprintf(url, sizeof(url), "nats://127.0.0.1:%d", port);
	f = fopen(path, "w");
	if (f == NULL)
		die(path, "cannot be written");
	fprintf(f,
	    "listen: \"127.0.0.1:%d\"\n"
	    "jetstream { store_dir: \"%s/js\", max_mem: 256MB, max_file: 8GB "
	    "}\n",
	    port, folder);
	fclose(f);
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* never outlives us */
		freopen("/dev/null", "w", stdout);
		freopen("/dev/null", "w", stderr);
		execlp("nats-server", "nats-server", "-c", path, (char *)NULL);
		_exit(127);
	}
}

struct producer {
	natsConnection *nc;
	jsCtx *js;
	pthread_t thread;
	unsigned long from, n;
};
static struct producer producers[PRODUCERS];

static void
dial(struct producer *p)
{
	natsStatus s = NATS_ERR;
	jsOptions o;

	for (int i = 0; i < 100 && s != NATS_OK; i++) {
		s = natsConnection_ConnectTo(&p->nc, url);
		if (s != NATS_OK)
			usleep(50000);
		if (waitpid(server, NULL, WNOHANG) == server)
			die("nats-server", "did not start");
	}
	check("connect", s);
	jsOptions_Init(&o);
	o.PublishAsync.MaxPending = WINDOW;
	o.PublishAsync.StallWait = 60000; /* of a loaded machine; not 200 ms */
	check("JetStream", natsConnection_JetStream(&p->js, p->nc, &o));
}

static void
stream(void)
{
	const char *subjects[] = {"ev.>"};
	jsErrCode code = 0;
	jsStreamConfig c;
	natsStatus s;

	jsStreamConfig_Init(&c);
	c.Name = "EVENTS";
	c.Subjects = subjects;
	c.SubjectsLen = 1;
	c.Storage = js_FileStorage;
	/* as a stream is that only lives for some rounds: bounded */
	c.MaxBytes = INT64_C(2) << 30;
	s = js_AddStream(NULL, producers[0].js, &c, NULL, &code);
	for (int i = 0; i < 50 && s != NATS_OK; i++) {
		usleep(100000);
		s = js_AddStream(NULL, producers[0].js, &c, NULL, &code);
	}
	check("stream", s);
}

static void
subject_of(unsigned long n, char *out, size_t max)
{
	if (n % 5 == 0)
		snprintf(out, max, "ev.sku.A-%lu", n * 2654435761u % 3000);
	else
		snprintf(out, max, "ev.order.%lu",
		    n % 10 == 3 && n > 5000 ? n - 5000 : n);
}

static void *
produce(void *arg)
{
	struct producer *p = arg;
	char subject[64];

	for (unsigned long i = 0; i < p->n; i++) {
		subject_of(p->from + i, subject, sizeof(subject));
		check("publish",
		    js_PublishAsync(p->js, subject, body, BODY, NULL));
	}
	check("confirm", js_PublishAsyncComplete(p->js, NULL));
	return NULL;
}

static double
round_async(int count, unsigned long n)
{
	double t = now();

	for (int i = 0; i < count; i++) {
		producers[i].from = made;
		producers[i].n = n / (unsigned long)count;
		made += producers[i].n;
		pthread_create(
		    &producers[i].thread, NULL, produce, &producers[i]);
	}
	for (int i = 0; i < count; i++)
		pthread_join(producers[i].thread, NULL);
	return now() - t;
}

static double
round_sync(unsigned long n)
{
	jsErrCode code = 0;
	char subject[64];
	double t = now();

	for (unsigned long i = 0; i < n; i++) {
		subject_of(made++, subject, sizeof(subject));
		check("publish", js_Publish(NULL, producers[0].js, subject,
				     body, BODY, NULL, &code));
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
	memset(body, 'x', sizeof(body));
	start();
	for (int i = 0; i < PRODUCERS; i++)
		dial(&producers[i]);
	stream();
	printf("NATS JetStream, a file stream with default settings (no fsync "
	       "before the confirmation), C client %s, up to %d unconfirmed a "
	       "producer\n",
	    nats_GetVersion(), WINDOW);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%15s %d %lu", how, &count, &n) != 3 ||
		    count < 1 || count > PRODUCERS || n == 0)
			die("round", line);
		printf(
		    "%f\n", (strcmp(how, "sync") == 0 ? round_sync(n)
						      : round_async(count, n)) /
				(double)n * 1e6);
		fflush(stdout);
	}
	for (int i = 0; i < PRODUCERS; i++) {
		jsCtx_Destroy(producers[i].js);
		natsConnection_Destroy(producers[i].nc);
	}
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	return 0;
}
