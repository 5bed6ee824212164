/* Formulas of a pack: the language over $in, $settings, $request, $status. */
#include "mappings/engine/formula.h"
#include "tests/unit/map_try.h"

static struct buf in, request, settings;
static struct arena scratch;

/* As a value of a YAML file; the result as text or JSON, or what was said. */
static const char *
formula(const char *text, unsigned roots, char as)
{
	static char got[2048];
	const struct formula *x;
	struct formula_env env = {
	    buf_all(&in), buf_all(&settings), buf_all(&request), 404};
	struct faults f;
	struct yaml *y;
	struct buf out, json;
	char file[1024];
	bool yes = false;
	enum err e;

	faults_init(&f);
	buf_init(&out, 1 << 16);
	buf_init(&json, 1 << 16);
	snprintf(file, sizeof(file), "v: %s\n", text);
	CHECK_OK(yaml_parse("pack.yaml", slice_str(file), &try_arena, &f, &y));
	e = formula_load(&x, "pack.yaml", yaml_get(y, "v"), roots, NULL, NULL,
	    &try_arena, &f);
	if (e != ERR_OK) {
		snprintf(got, sizeof(got), "%s", buf_cstr(&f.text));
		goto end;
	}
	arena_reset(&scratch);
	e = as == 't'	? formula_text(x, &env, &scratch, &out)
	    : as == 'b' ? formula_true(x, &env, &scratch, &yes)
			: formula_mp(x, &env, &scratch, &out);
	if (e == ERR_OK && as == 'm') {
		CHECK_OK(mp_check(buf_all(&out)));
		CHECK_OK(mp_to_json(buf_all(&out), JSON_COMPACT, &json));
		snprintf(got, sizeof(got), "%s", buf_cstr(&json));
	} else {
		snprintf(got, sizeof(got), "%s",
		    e == ERR_MISSING ? "(missing)"
		    : e != ERR_OK    ? err_last()
		    : as == 'b'	     ? (yes ? "true" : "false")
				     : buf_cstr(&out));
	}
end:
	faults_fini(&f);
	buf_fini(&out);
	buf_fini(&json);
	return got;
}

#define ALL (FORMULA_IN | FORMULA_SETTINGS | FORMULA_REQUEST | FORMULA_STATUS)
#define FT(text, want) CHECK_STR(formula(text, ALL, 't'), want)
#define FB(text, want) CHECK_STR(formula(text, ALL, 'b'), want)
#define FM(text, want) CHECK_STR(formula(text, ALL, 'm'), want)
#define HAS(got, part)                                         \
	do {                                                   \
		const char *h_got = got;                       \
		CHECK(strstr(h_got, part) != NULL);            \
		if (strstr(h_got, part) == NULL)               \
			fprintf(stderr, "  says %s\n", h_got); \
	} while (0)

T(values)
{
	FT("number", "1042");
	FT("$in.number", "1042");
	FT("\"order:{number}\"", "order:1042");
	FT("'{id}:{total}'", "9007199254740993:79.90");
	FT("total", "79.90");
	FT("items[2].a", "x");
	FT("$settings.key", "secret");
	FT("$request.method", "POST");
	FT("$request.query.'checkout-amount'", "100");
	FT("header('X-Signature')", "abc");
	FT("\"{header('x-signature')}.{$request.body}\"", "abc.{}");
	FB("$status = 404", "true");
	FB("$status in (200, 201)", "false");
	FB("all(w.a = 'x' for w in items)", "false");
	FB("any(w.a = 'x' for w in $in.items)", "true");
	FM("items", "[{\"a\":\"y\"},{\"a\":\"x\"}]");
	FM("$in.items[1]", "{\"a\":\"y\"}");
	FM("total", "79.90");
	FM("list(i.a for i in items)", "[\"y\",\"x\"]");
	FM("group(i.a for i in items)",
	    "[{\"key\":\"y\",\"rows\":[{\"a\":\"y\"}]},"
	    "{\"key\":\"x\",\"rows\":[{\"a\":\"x\"}]}]");
	FM("3 * 2", "6");
	FM("b", "true");
	CHECK(strlen(formula("hash($in)", ALL, 't')) == 64);
}

T(absent)
{
	FT("nothing", "(missing)");
	FT("\"order:{nothing}\"", "(missing)");
	FT("nothing.at.all", "(missing)");
	FT("header('none')", "(missing)");
	FT("header('none') ?? 'x'", "x");
	FT("upper(nothing)", "(missing)");
	FB("nothing = 1", "(missing)");
	FB("has(nothing)", "false");
	FM("null_one", "(missing)");
	/* roots that are allowed and not given */
	buf_reset(&request);
	FT("header('x')", "(missing)");
	FT("$request.method", "(missing)");
}

T(refused)
{
	/* what a message would quote may be a secret */
	HAS(formula("decimal($settings.key)", ALL, 't'),
	    "formula <- $settings.key (pack.yaml:1:");
	CHECK(strstr(formula("decimal($settings.key)", ALL, 't'), "secret") ==
	      NULL);
	HAS(formula("decimal(number + '')", ALL, 't'), "is wanted here");
	HAS(formula("decimal(s2)", ALL, 't'), "'oops' is no number");
	HAS(formula("number", FORMULA_REQUEST, 't'), "no name number here");
	HAS(formula("$in.x", FORMULA_REQUEST, 't'),
	    "$in is not to be had here");
	HAS(formula("$event.id", ALL, 't'), "$event is not to be had here");
	HAS(formula("header('x')", FORMULA_IN, 't'), "no function header");
	HAS(formula("$status = 'x'", ALL, 'b'), "do not compare");
	HAS(formula("s +", ALL, 't'), "breaks off");
	HAS(formula("items", ALL, 't'), "text is wanted, and this is a list");
	HAS(formula("total", ALL, 'b'), "a condition is wanted");
	HAS(formula("total + number", ALL, 't'),
	    "formula <- number (pack.yaml:1:");
}

T_MAIN(try_begin(); arena_init(&scratch, 1 << 20); buf_init(&in, 1 << 16);
       buf_init(&request, 1 << 16); buf_init(&settings, 1 << 16);
       CHECK_OK(json_to_mp(
	   SLICE_LIT(
	       "{\"number\":\"1042\",\"id\":9007199254740993,\"total\":79.90,"
	       "\"items\":[{\"a\":\"y\"},{\"a\":\"x\"}],\"b\":true,"
	       "\"null_one\":null,\"s2\":\"oops\"}"),
	   &in, NULL));
       CHECK_OK(json_to_mp(
	   SLICE_LIT(
	       "{\"method\":\"POST\",\"query\":{\"checkout-amount\":\"100\"},"
	       "\"headers\":{\"x-signature\":\"abc\"},\"body\":\"{}\"}"),
	   &request, NULL));
       CHECK_OK(json_to_mp(SLICE_LIT("{\"key\":\"secret\"}"), &settings, NULL));
       T_RUN(values) T_RUN(absent) T_RUN(refused) arena_fini(&scratch);
       buf_fini(&in); buf_fini(&request); buf_fini(&settings); try_end())
