/* source - see source.h. */
#include "broker/base/json.h"
#include "mappings/engine/edifact.h"
#include "mappings/engine/source.h"
#include "mappings/engine/xml.h"

/* The one message of a list of one takes its place. */
static void
unwrap(struct buf *out, size_t at)
{
	if (out->n <= at || out->p[at] != 0x91)
		return;
	memmove(out->p + at, out->p + at + 1, out->n - at - 1);
	out->n--;
}

enum err
source_to_mp(
    struct slice text, const struct schema_field *root, struct buf *out)
{
	struct slice s = text;
	size_t at = out->n;
	enum err e;

	if (slice_starts(s, SLICE_LIT("\xef\xbb\xbf")))
		s = slice_from(s, 3);
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' ||
			      s.p[0] == '\n'))
		s = slice_from(s, 1);
	/* UTF-16, which expat reads by its mark */
	if (slice_starts(s, SLICE_LIT("<")) ||
	    slice_starts(s, SLICE_LIT("\xff\xfe")) ||
	    slice_starts(s, SLICE_LIT("\xfe\xff")))
		return xml_to_mp(s, root, true, out);
	if (!slice_starts(s, SLICE_LIT("UNA")) &&
	    !slice_starts(s, SLICE_LIT("UNB")))
		return json_to_mp(text, out, NULL);
	e = edifact_to_mp(s, root, out);
	if (e == ERR_OK)
		unwrap(out, at);
	return e;
}
