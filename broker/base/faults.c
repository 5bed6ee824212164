/* faults - what is wrong with files, as collected lines; see yaml.h. */
#include "broker/base/utf8.h"
#include "broker/base/yaml.h"

#define KEPT 200

void
faults_init(struct faults *f)
{
	buf_init(&f->text, (size_t)1 << 20);
	f->count = f->warnings = 0;
}

void
faults_fini(struct faults *f)
{
	buf_fini(&f->text);
	f->count = f->warnings = 0;
}

/* The line "and N more" at the end, in place of the one before. */
static void
say_more(struct buf *b, size_t more)
{
	if (more > 1)
		for (b->n--; b->n > 0 && b->p[b->n - 1] != '\n';)
			b->n--;
	buf_printf(b, "and %zu more\n", more);
}

/* One line's text is kept printable: a file's own bytes may stand in it. */
static void
clean(struct buf *b, size_t from)
{
	size_t n;

	for (size_t i = from; i < b->n; i += n) {
		n = utf8_step(b->p + i, b->p + b->n);
		if (n == 0 || b->p[i] < 0x20 || b->p[i] == 0x7f) {
			b->p[i] = '?';
			n = 1;
		}
	}
}

static void PRINTF_LIKE(6, 0) add(struct faults *f, const char *file,
    uint32_t line, uint32_t column, bool warning, const char *fmt, va_list ap)
{
	size_t *count = warning ? &f->warnings : &f->count;
	size_t from;

	++*count;
	if (f->count + f->warnings > KEPT) {
		say_more(&f->text, f->count + f->warnings - KEPT);
		return;
	}
	from = f->text.n;
	if (line > 0)
		buf_printf(&f->text, "%s:%u:%u: ", file, line, column);
	else
		buf_printf(&f->text, "%s: ", file);
	if (warning)
		buf_str(&f->text, "warning: ");
	buf_vprintf(&f->text, fmt, ap);
	clean(&f->text, from);
	buf_byte(&f->text, '\n');
}

void
fault(struct faults *f, const char *file, const struct yaml *at,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, file, at != NULL ? at->line : 0, at != NULL ? at->column : 0,
	    false, fmt, ap);
	va_end(ap);
}

void
fault_warn(struct faults *f, const char *file, const struct yaml *at,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, file, at != NULL ? at->line : 0, at != NULL ? at->column : 0,
	    true, fmt, ap);
	va_end(ap);
}

/* Columns count characters, as libyaml's and editors' do. What a quoted text's
 * escapes and a folded text's line breaks hide is not known any more. */
void
fault_in(struct faults *f, const char *file, const struct yaml *at, size_t into,
    const char *fmt, ...)
{
	uint32_t line = at->line, column = at->column;
	va_list ap;

	if (into > at->text.n)
		into = at->text.n;
	if (at->style == YAML_QUOTED)
		column++;
	if (at->style == YAML_BLOCK) {
		line++;
		column = 1;
	}
	for (size_t i = 0; i < into; i++) {
		if (at->style == YAML_BLOCK && at->text.p[i] == '\n') {
			line++;
			column = 1;
		} else if ((at->text.p[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	va_start(ap, fmt);
	add(f, file, line, column, false, fmt, ap);
	va_end(ap);
}
