/* flush - see flush.h. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/core/flush.h"

struct flush {
	pthread_t thread;
	pthread_mutex_t mu;
	pthread_cond_t wake;
	struct batch *job; /* under mu; NULL: nothing to do */
	bool stop;
	int done; /* eventfd */
	enum err result;
	char note[1024];
};

static void *
work(void *arg)
{
	const uint64_t one = 1;
	struct flush *f = arg;
	struct batch *b;

	pthread_mutex_lock(&f->mu);
	for (;;) {
		while (f->job == NULL && !f->stop)
			pthread_cond_wait(&f->wake, &f->mu);
		if (f->job == NULL)
			break;
		b = f->job;
		pthread_mutex_unlock(&f->mu);
		f->result = batch_store(b);
		snprintf(f->note, sizeof(f->note), "%s",
		    f->result != ERR_OK ? err_last() : "");
		pthread_mutex_lock(&f->mu);
		f->job = NULL;
		if (write(f->done, &one, sizeof(one)) != sizeof(one))
			err_die("eventfd refuses a write");
	}
	pthread_mutex_unlock(&f->mu);
	return NULL;
}

enum err
flush_open(struct flush **out)
{
	struct flush *f = calloc(1, sizeof(*f));

	if (f == NULL)
		err_die("no memory");
	f->done = eventfd(0, EFD_CLOEXEC);
	if (f->done < 0) {
		free(f);
		return err_errno(ERR_IO, "eventfd");
	}
	pthread_mutex_init(&f->mu, NULL);
	pthread_cond_init(&f->wake, NULL);
	if (pthread_create(&f->thread, NULL, work, f) != 0)
		err_die("no thread for the journal");
	*out = f;
	return ERR_OK;
}

void
flush_close(struct flush *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->mu);
	f->stop = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->mu);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->mu);
	close(f->done);
	free(f);
}

void
flush_begin(struct flush *f, struct batch *b)
{
	pthread_mutex_lock(&f->mu);
	f->job = b;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->mu);
}

int
flush_fd(const struct flush *f)
{
	return f->done;
}

enum err
flush_end(struct flush *f)
{
	uint64_t n;
	enum err e;

	/* The read waits, and orders what the flusher wrote before. */
	if (read(f->done, &n, sizeof(n)) != sizeof(n))
		err_die("eventfd refuses a read");
	pthread_mutex_lock(&f->mu);
	e = f->result;
	pthread_mutex_unlock(&f->mu);
	return e != ERR_OK ? err_note(e, "%s", f->note) : ERR_OK;
}
