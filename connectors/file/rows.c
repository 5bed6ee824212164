/*
 * rows - see rows.h. What it prints are events' data, a line of JSON each,
 * which `vayla map learn` and `vayla map run --lines` read; rows that the
 * connector would not take are named on stderr.
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/clock.h"
#include "broker/base/config.h"
#include "broker/base/file.h"
#include "broker/base/json.h"
#include "broker/base/opt.h"
#include "connectors/file/rows.h"
#include "connectors/file/sheet.h"

#define ROWS_MEMORY ((size_t)256 * 1024 * 1024)

struct reading {
	const char *pack, *file, *settings;
	struct arena a, scratch;
	struct faults f;
	struct picks picks;
	struct pick_way way;
	struct slice made; /* the settings */
	struct sheet_ids ids;
	size_t bad;
};

static enum err
settings_make(struct reading *x, const struct pack *p, struct buf *out)
{
	struct yaml *over = NULL;
	enum err e = ERR_OK;

	if (x->settings != NULL)
		e = x->settings[0] == '{'
			? yaml_parse("settings", slice_str(x->settings), &x->a,
			      &x->f, &over)
			: yaml_load(x->settings, &x->a, &x->f, &over);
	if (e != ERR_OK)
		return e;
	return pack_defaults(p, x->pack, over, &x->f, out);
}

/* The pack's first pick, as these settings make it. */
static enum err
way_make(struct reading *x)
{
	char packs[PATH_MAX];
	struct buf settings;
	struct pack *p;
	enum err e;

	if (!config_packs(packs, sizeof(packs)))
		return err_note(ERR_NOTFOUND,
		    "no packs found; say where they are with VAYLA_PACKS");
	e = pack_open(packs, slice_str(x->pack), &x->a, &x->f, &p);
	if (e != ERR_OK)
		return e;
	if (!pick_wanted(p))
		return err_note(ERR_CONFIG,
		    "%s has no pick: section, which says how its files are "
		    "read (mappings/PACKS.md)",
		    p->file);
	if ((e = pick_load(p, &x->a, &x->f, &x->picks)) != ERR_OK)
		return e;
	buf_init(&settings, 1 << 20);
	e = settings_make(x, p, &settings);
	if (e == ERR_OK &&
	    !pick_resolve(&x->picks.v[0], buf_all(&settings), &x->a, p->file,
		x->picks.v[0].at, &x->f, &x->way))
		e = err_note(ERR_CONFIG,
		    "give what is missing with --settings '{NAME: VALUE}'");
	if (e == ERR_OK)
		e = arena_copy(&x->a, buf_all(&settings), &x->made);
	if (e == ERR_OK)
		e = sheet_ids_init(&x->ids, (size_t)x->picks.v[0].rows);
	buf_fini(&settings);
	return e;
}

static void
bad_row(struct reading *x, const struct sheet *sheet)
{
	struct buf why;

	buf_init(&why, 4096);
	sheet_why(sheet, &why);
	fprintf(stderr, "%s: %s\n", x->file, buf_cstr(&why));
	buf_fini(&why);
	x->bad++;
}

/* Would the connector take it? Says why not. */
static bool
taken(struct reading *x, const struct sheet *sheet,
    const struct sheet_file *from, const struct csv_row *row, struct slice mp)
{
	struct event ev;

	if (sheet_event(sheet, from, row->line, mp, &x->ids, &x->scratch,
		&ev) == ERR_OK)
		return true;
	fprintf(stderr, "%s: %s %u: %s\n", x->file,
	    sheet->pick->form == PICK_CSV ? "line" : "item", row->line,
	    err_last());
	x->bad++;
	return false;
}

static enum err
print(struct reading *x, struct slice text)
{
	const char *slash = strrchr(x->file, '/');
	const struct sheet_file from = {
	    slash != NULL ? slash + 1 : x->file, clock_now(), x->made};
	struct sheet sheet;
	struct csv_row row;
	struct buf mp, out;
	enum csv_got got;
	enum err e = ERR_OK;

	buf_init(&mp, 1 << 20);
	buf_init(&out, 1 << 24);
	got = sheet_open(&sheet, &x->picks.v[0], &x->way, text, &x->a);
	while (e == ERR_OK && got != CSV_BROKEN) {
		arena_reset(&x->scratch);
		buf_reset(&mp);
		buf_reset(&out);
		got = sheet_next(&sheet, &x->scratch, &row, &mp);
		if (got == CSV_END)
			break;
		if (got != CSV_ROW) {
			bad_row(x, &sheet);
			continue;
		}
		if (sheet.row > (uint32_t)x->picks.v[0].rows) {
			e = err_note(ERR_LIMIT,
			    "%s has more than %jd rows; divide it, or raise "
			    "`limits` of the pick",
			    x->file, (intmax_t)x->picks.v[0].rows);
			break;
		}
		if (!taken(x, &sheet, &from, &row, buf_all(&mp)))
			continue;
		e = mp_to_json(buf_all(&mp), JSON_COMPACT, &out);
		buf_byte(&out, '\n');
		if (e == ERR_OK && (e = buf_check(&out)) == ERR_OK &&
		    fwrite(out.p, 1, out.n, stdout) != out.n)
			e = err_errno(ERR_IO, "cannot write");
	}
	if (got == CSV_BROKEN && e == ERR_OK)
		bad_row(x, &sheet);
	buf_fini(&mp);
	buf_fini(&out);
	return e;
}

int
rows_verb(int argc, char **argv)
{
	struct reading x = {.bad = 0};
	const struct opt opts[] = {{.name = "settings",
				       .type = OPT_TEXT,
				       .arg = "MAP",
				       .help = "the system's settings: a YAML "
					       "or JSON file, or {...}",
				       .text = &x.settings},
	    {.name = NULL}};
	const struct command command = {.usage = "vayla map rows PACK FILE.csv",
	    .help = "Prints each row of a file as the event's data that a "
		    "mapping gets, a line of JSON each: as the pick: section "
		    "of the pack says. For vayla map learn and vayla map run "
		    "--lines.",
	    .opts = opts,
	    .min_args = 2,
	    .max_args = 2};
	struct buf text;
	bool done;
	enum err e;
	int n;

	if (opt_parse(&command, argc, argv, &n, &done) != ERR_OK)
		return EXIT_USAGE;
	if (done)
		return EXIT_OK;
	x.pack = argv[1];
	x.file = argv[2];
	arena_init(&x.a, ROWS_MEMORY);
	arena_init(&x.scratch, ROWS_MEMORY);
	faults_init(&x.f);
	buf_init(&text, PICK_BYTES);
	e = file_read(x.file, &text);
	if (e == ERR_OK)
		e = way_make(&x);
	if (e == ERR_OK)
		e = print(&x, buf_all(&text));
	if (x.f.text.n > 0)
		fwrite(x.f.text.p, 1, x.f.text.n, stderr);
	if (e != ERR_OK && (x.f.count == 0 || x.picks.n > 0))
		fprintf(stderr, "vayla map rows: %s\n", err_last());
	sheet_ids_fini(&x.ids);
	buf_fini(&text);
	faults_fini(&x.f);
	arena_fini(&x.scratch);
	arena_fini(&x.a);
	return e == ERR_OK && x.bad == 0 ? EXIT_OK : EXIT_FAILED;
}
