/* serial - see serial.h. */
#include "connectors/sim/serial.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/base/file.h"

enum err
serial_take(const struct config *c, int64_t count, int64_t *first)
{
	char path[4096], text[32];
	struct buf b;
	long long next = SERIAL_FIRST;
	enum err e;

	(void)snprintf(path, sizeof(path), "%s/sim.next", c->data);
	buf_init(&b, sizeof(text));
	e = file_read(path, &b);
	if (e == ERR_OK)
		next = strtoll(buf_cstr(&b), NULL, 10);
	buf_fini(&b);
	if (e != ERR_OK && e != ERR_NOTFOUND)
		return e;
	if (next < SERIAL_FIRST || next > INT64_MAX / 1000)
		return err_note(ERR_CORRUPT,
		    "%s holds no order number; remove it or give --first",
		    path);
	*first = next;
	/* before anything is sent: numbers may be lost, never used twice */
	(void)snprintf(text, sizeof(text), "%lld\n", next + (long long)count);
	e = dir_make(c->data);
	return e == ERR_OK ? file_write(path, slice_str(text), 0640) : e;
}
