/*
 * What systems send beside JSON: XML, EDIFACT, JSON within a text; with and
 * without a schema, broken and hostile.
 */
#include "mappings/engine/edifact.h"
#include "mappings/engine/source.h"
#include "tests/unit/map_try.h"

static struct buf mp, json;

/* The text as data, as JSON; of a failure its note. */
static const char *
read_as(const struct schema_field *root, struct slice text)
{
	buf_reset(&mp);
	buf_reset(&json);
	if (source_to_mp(text, root, &mp) != ERR_OK)
		return err_last();
	CHECK_OK(mp_check(buf_all(&mp)));
	CHECK_OK(mp_to_json(buf_all(&mp), JSON_COMPACT, &json));
	return buf_cstr(&json);
}

static const struct schema_field *
root(const char *type)
{
	const struct schema *s = try_find(NULL, slice_str(type));

	return s != NULL ? &s->root : NULL;
}

#define X(type, text, want) \
	CHECK_STR(read_as(root(type), slice_str(text)), want)
#define XHAS(type, text, part)                                           \
	do {                                                             \
		const char *said = read_as(root(type), slice_str(text)); \
		CHECK(strstr(said, part) != NULL);                       \
		if (strstr(said, part) == NULL)                          \
			fprintf(stderr, "%s\n  says %s\n", text, said);  \
	} while (0)

static const char bank[] = "schema: t.bank/1\n"
			   "title: XML\n"
			   "blank: absent\n"
			   "open: true\n"
			   "fields:\n"
			   "  Doc:\n"
			   "    fields:\n"
			   "      Id: text\n"
			   "      Ntry?:\n"
			   "        many: true\n"
			   "        fields:\n"
			   "          Amt: {fields: {$Ccy: text, $: decimal}}\n"
			   "          Ref?: {type: text, many: true}\n"
			   "          cbc:Note?: text\n";

T(xml)
{
	X("none", "<a/>", "{\"a\":\"\"}");
	X("none", "<?xml version='1.0'?>\n<a>1</a>\n", "{\"a\":\"1\"}");
	X("none", "<a x='1'>t</a>", "{\"a\":{\"$x\":\"1\",\"$\":\"t\"}}");
	X("none", "<a><b>1</b> <c/> <b>2</b></a>",
	    "{\"a\":{\"b\":[\"1\",\"2\"],\"c\":\"\"}}");
	X("none", "<a>x<b>1</b>y &amp; z</a>",
	    "{\"a\":{\"$\":\"xy & z\",\"b\":\"1\"}}");
	X("none", "<c:a xmlns:c='u'><c:b><![CDATA[<&>]]></c:b></c:a>",
	    "{\"c:a\":{\"$xmlns:c\":\"u\",\"c:b\":\"<&>\"}}");
	X("none", "<?xml version='1.0' encoding='iso-8859-15'?><a>\xa4\xe4</a>",
	    "{\"a\":\"€ä\"}");
	X("none", "<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>",
	    "{\"a\":\"€\"}");
	X("none", "<!DOCTYPE a SYSTEM 'a.dtd'><a>1</a>", "{\"a\":\"1\"}");
	X("none", "\xef\xbb\xbf<a>1</a>", "{\"a\":\"1\"}");
	/* by the schema: one is a list too, a bare text is the map's $ */
	X("t.bank", "<Doc><Id>1</Id><Ntry><Amt>3.10</Amt></Ntry></Doc>",
	    "{\"Doc\":{\"Id\":\"1\",\"Ntry\":[{\"Amt\":{\"$\":\"3.10\"}}]}}");
	X("t.bank",
	    "<Doc><Ntry><Amt Ccy='EUR'>1</Amt><Ref>a</Ref><Ref>b</Ref></Ntry>"
	    "<Id/><Ntry/></Doc>",
	    "{\"Doc\":{\"Ntry\":[{\"Amt\":{\"$Ccy\":\"EUR\",\"$\":\"1\"},"
	    "\"Ref\":[\"a\",\"b\"]},{}],\"Id\":\"\"}}");
	XHAS("t.bank", "<Doc><Id>1</Id><Id>2</Id></Doc>",
	    "<Id> stands 2 times in <Doc>, and its schema knows of one: say "
	    "many: true");
	XHAS("t.bank", "<Doc><New/><New/></Doc>", "<New> stands 2 times");
}

T(xml_broken)
{
	char deep[4096], *p = deep;

	XHAS(
	    "none", "<a><b></a>", "breaks off at line 1, column 9: mismatched");
	XHAS("none", "<a>", "breaks off");
	XHAS("none", "<a/><b/>", "breaks off");
	XHAS("none", "<a>\xff</a>", "not well-formed");
	XHAS("none", "<a>&nope;</a>", "undefined entity");
	XHAS("none", "<!DOCTYPE a SYSTEM 'x'><a>&nope;</a>", "only its DTD");
	XHAS("none",
	    "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>",
	    "entities could name files");
	XHAS("none", "<?xml version='1.0' encoding='ebcdic'?><a/>", "encoding");
	for (int i = 0; i < 200; i++)
		p += sprintf(p, "<a>");
	XHAS("none", deep, "nested too deep");
	/* 60,000 elements of one name; 2,000 of different names are too many */
	struct buf b;
	buf_init(&b, 4 << 20);
	buf_str(&b, "<a>");
	for (int i = 0; i < 60000; i++)
		buf_str(&b, "<b>1</b>");
	buf_str(&b, "</a>");
	buf_reset(&mp);
	CHECK_OK(source_to_mp(buf_all(&b), NULL, &mp));
	buf_reset(&b);
	buf_str(&b, "<a>");
	for (int i = 0; i < 2000; i++)
		buf_printf(&b, "<b%d/>", i);
	buf_str(&b, "</a>");
	XHAS("none", buf_cstr(&b), "over 1024 different elements within <a>");
	buf_reset(&b);
	for (int i = 0; i < 210000; i++)
		buf_str(&b, i == 0 ? "<a>" : "<b/>");
	XHAS("none", buf_cstr(&b), "too many elements");
	buf_fini(&b);
}

static const char scan[] = "schema: t.scan/1\n"
			   "title: EDIFACT\n"
			   "blank: absent\n"
			   "open: true\n"
			   "fields:\n"
			   "  UNB: {list: {list: text}}\n"
			   "  UNH: {list: {list: text}}\n"
			   "  BGM?: {list: {list: text}}\n"
			   "  DTM?: {many: true, list: {list: text}}\n"
			   "  CNI:\n"
			   "    items:\n"
			   "      CNI: {list: {list: text}}\n"
			   "      STS?:\n"
			   "        items:\n"
			   "          STS: {list: {list: text}}\n"
			   "          DTM?: {many: true, list: {list: text}}\n"
			   "          RFF?: {many: true, list: {list: text}}\n"
			   "  CNT?: {many: true, list: {list: text}}\n";

#define UNB "UNB+UNOC:3+S+R+260301:1000+1'"

T(edifact)
{
	X("none", "UNB+UNOA:1+S'UNH+1+IFTSTA:D'BGM+?+?'?:'UNT+3+1'UNZ+1+1'",
	    "{\"UNB\":[[[\"UNOA\",\"1\"],[\"S\"]]],\"UNH\":[[[\"1\"],"
	    "[\"IFTSTA\",\"D\"]]],\"BGM\":[[[\"+':\"]]]}");
	/* other marks, line ends between segments, elements left out */
	X("none", "UNA|*, ? \r\nUNB*UNOA|1 \nUNH*1 BGM**a|| UNT*9*1 ",
	    "{\"UNB\":[[[\"UNOA\",\"1\"]]],\"UNH\":[[[\"1\"]]],\"BGM\":[[[\"\"]"
	    ","
	    "[\"a\",\"\",\"\"]]]}");
	X("t.scan",
	    UNB "UNH+1+X'BGM+7'DTM+137:1'CNI+1+A'STS+1+5'DTM+334:2'DTM+78:3'"
		"RFF+CU:9'STS+1+6'CNI+2+B'STS+1+7'CNT+1:2'UNT+1+1'",
	    "{\"UNB\":[[\"UNOC\",\"3\"],[\"S\"],[\"R\"],[\"260301\",\"1000\"],"
	    "[\"1\"]],\"UNH\":[[\"1\"],[\"X\"]],\"BGM\":[[\"7\"]],\"DTM\":[[["
	    "\"137\",\"1\"]]],\"CNI\":[{\"CNI\":[[\"1\"],[\"A\"]],\"STS\":[{"
	    "\"STS\":[[\"1\"],[\"5\"]],\"DTM\":[[[\"334\",\"2\"]],[[\"78\","
	    "\"3\"]]],\"RFF\":[[[\"CU\",\"9\"]]]},{\"STS\":[[\"1\"],[\"6\"]]}]}"
	    ",{\"CNI\":[[\"2\"],[\"B\"]],\"STS\":[{\"STS\":[[\"1\"],[\"7\"]]}]}"
	    "],\"CNT\":[[[\"1\",\"2\"]]]}");
	/* one that no group knows stays where it came */
	XHAS("t.scan", UNB "UNH+1'CNI+1'FTX+a'FTX+b'CNI+2'UNT'",
	    "\"CNI\":[{\"CNI\":[[\"1\"]],\"FTX\":[[[\"a\"]],[[\"b\"]]]},"
	    "{\"CNI\":[[\"2\"]]}]");
	/* Latin-1 by UNOC, UTF-8 by UNOY */
	XHAS("none", UNB "UNH+1'FTX+\xc5\xd8'UNT'", "\"FTX\":[[[\"ÅØ\"]]]");
	XHAS("none", "UNB+UNOY:1'UNH+1'FTX+\xc3\x85'UNT'", "[[[\"Å\"]]]");
	/* two messages are two */
	X("none", "UNB+UNOA'UNH+1'UNT'UNH+2'UNT'UNZ'",
	    "[{\"UNB\":[[[\"UNOA\"]]],\"UNH\":[[[\"1\"]]]},"
	    "{\"UNB\":[[[\"UNOA\"]]],\"UNH\":[[[\"2\"]]]}]");
	XHAS("t.scan", UNB "UNH+1'BGM+1'BGM+2'UNT'",
	    "segment 4: BGM stands here 2 times, and its schema knows of one");
	XHAS("none", UNB "UNH+1'BGM+1", "segment 3 BGM is not ended");
	XHAS("none", UNB "UNH+1'", "has no UNT");
	XHAS("none", UNB, "holds no message");
	XHAS("none", UNB "UNH+1'+x'UNT'", "segment 3 has no name");
	XHAS("none", "UNB+UNOQ:1'", "UNOQ of UNB is none of");
	XHAS("none", "UNB+UNOA:1'UNH+1'FTX+\xc5'UNT'",
	    "segment 3 FTX: a character that the encoding");
	XHAS("none", "UNA:+.? 'UNH+1'", "begins with UNB, not with UNH");
}

/* Whatever stands in a file, it is data or a note. */
T(hostile)
{
	static const char *const seeds[] = {
	    "<Doc a='1'><Id>x</Id><Ntry><Amt Ccy='EUR'>1</Amt></Ntry></Doc>",
	    UNB "UNH+1+X'CNI+1'STS+1+5'DTM+334:2'RFF+CU:9'CNI+2'UNT+1'UNZ'",
	    "{\"a\":[1,{\"b\":\"{}\"}]}"};
	static const char bytes[] = "<>/&;'\"=+:?'{}[],\\ \xff\x00 aUNB1";
	const struct schema_field *roots[] = {
	    NULL, root("t.bank"), root("t.scan")};
	unsigned seed = 20261123;
	char text[256];

	for (int i = 0; i < 60000; i++) {
		const char *from = seeds[rand_r(&seed) % 3];
		size_t n = strlen(from);

		memcpy(text, from, n);
		for (int k = (int)(rand_r(&seed) % 4); k >= 0; k--)
			text[(size_t)rand_r(&seed) % n] =
			    bytes[(size_t)rand_r(&seed) % (sizeof(bytes) - 1)];
		if (rand_r(&seed) % 4 == 0)
			n = (size_t)rand_r(&seed) % n;
		buf_reset(&mp);
		if (source_to_mp(slice_of(text, n), roots[rand_r(&seed) % 3],
			&mp) == ERR_OK)
			CHECK_OK(mp_check(buf_all(&mp)));
		else
			CHECK(mp.n == 0 && err_last()[0] != '\0');
	}
}

static const char inner[] =
    "schema: t.inner/1\n"
    "title: JSON in a text\n"
    "blank: absent\n"
    "open: true\n"
    "fields:\n"
    "  id: text\n"
    "  payload?: {json: true, fields: {n: integer, more?: {json: true, list: "
    "text}}}\n"
    "  any?: {json: true, type: any}\n";

T(json_within)
{
	const struct mapping *m = try_load(
	    "map: t.m/1\nfrom: t.inner\nemit:\n  - type: t.out\n    id: 'x'\n"
	    "    subject: 'k:1'\n    data:\n      n?: payload.n + 1\n"
	    "      more: count(payload.more)\n      a?: any.b\n      id: id\n");

	CHECK(m != NULL);
	if (m == NULL) {
		fprintf(stderr, "%s", try_said);
		return;
	}
	try_run(m,
	    "{\"payload\":\"{\\\"n\\\":4,\\\"more\\\":\\\"[\\\\\\\"x\\\\"
	    "\\\",\\\\\\\"y\\\\\\\"]\\\"}\",\"any\":\"{\\\"b\\\":1.10}\","
	    "\"id\":\"{}\"}");
	CHECK_STR(try_said, "{\"n\":5,\"more\":2,\"a\":1.10,\"id\":\"{}\"}");
	/* a source that stopped packing is understood; blank is absent */
	try_run(m, "{\"payload\":{\"n\":4},\"any\":\"\",\"id\":1}");
	CHECK_STR(try_said, "{\"n\":5,\"more\":0,\"id\":\"1\"}");
	CHECK(try_run(m, "{\"payload\":\"{\\\"n\\\":\",\"id\":1}")->verdict ==
	      EVAL_ERROR);
	SAYS("the text in payload holds no JSON");
	CHECK(
	    try_run(m, "{\"payload\":\"{\\\"n\\\":1,\\\"more\\\":\\\"x\\\"}\","
		       "\"id\":1}")
		->verdict == EVAL_ERROR);
	SAYS("the text in payload.more holds no JSON");
	/* a whole value fits its schema or does not */
	buf_reset(&mp);
	CHECK_OK(json_to_mp(
	    SLICE_LIT("{\"id\":\"1\",\"payload\":\"{\\\"n\\\":1}\"}"), &mp,
	    NULL));
	CHECK_OK(
	    schema_check(try_find(NULL, SLICE_LIT("t.inner")), buf_all(&mp)));
	buf_reset(&mp);
	CHECK_OK(json_to_mp(
	    SLICE_LIT("{\"id\":\"1\",\"payload\":\"{\\\"n\\\":\\\"x\\\"}\"}"),
	    &mp, NULL));
	CHECK_ERR(
	    schema_check(try_find(NULL, SLICE_LIT("t.inner")), buf_all(&mp)),
	    ERR_TYPE);
}

T_MAIN(buf_init(&mp, 64 << 20); buf_init(&json, 64 << 20); try_begin();
       try_schema(bank, false); try_schema(scan, false);
       try_schema(inner, false); T_RUN(xml) T_RUN(xml_broken) T_RUN(edifact)
	   T_RUN(hostile) T_RUN(json_within) try_end();
       buf_fini(&mp); buf_fini(&json))
