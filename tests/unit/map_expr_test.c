/* The mapping language: scalars, grammar, operators, absence, decimals. */
#include "tests/unit/map_try.h"

T(scalars)
{
	V("s", "\"text\"");
	V("\"a {s} b\"", "\"a text b\"");
	V("'a {s} b'", "\"a text b\"");
	V("'{{s}} {s}'", "\"{s} text\"");
	V("\"{id}/{n}/{b}/{at}/{day}\"",
	    "\"7/12.50/true/2026-03-01T10:00:00Z/2026-03-31\"");
	V("''", "\"\"");
	V("trim('{8.40}')", "\"8.40\"");
	V("'{true}'", "\"true\"");
	V("trim(\"{s} {o ?? ''}\")", "\"text\"");
	V("\"{trim(\\\"{s} \\\")}\"", "\"text\"");
	V("s ?? 'it''s'", "\"text\"");
	V("('it''s')", "\"it's\"");
	V("|\n        a {b}\n        c", "\"a {b}\\nc\\n\"");
	V("null", "null");
	V("[]", "[]");
	V("true", "true");
	V("-3.50", "-3.50");
	V("(\"s\")", "\"s\"");
	V("$in.'checkout-amount'", "4200");
	V("$in.\"checkout-amount\"", "4200");
	V("$in.s", "\"text\"");
	V("$event.id", "\"e1\"");
	V("$event.subject", "\"order:shop/1042\"");
}

T(text_that_reads_as_code)
{
	F("'s'", "this is text; unquote it to compute it");
	F("\"lines[1].name\"", "this is text; unquote it");
	F("'trim(s)'", "this is text; unquote it");
	F("'$in.s'", "this is text; unquote it");
	V("('s')", "\"s\"");
	V("'s.x'", "\"s.x\"");
	V("'no name here'", "\"no name here\"");
	V("'unknown'", "\"unknown\"");
}

T(grammar)
{
	F("s +", "breaks off");
	F("(s", ") is missing at the end");
	F("s s", "an operator was expected, not 's'");
	F("a == b", "equality is written with one =");
	F("b && b", "write and, or, not");
	F("1 < 2 < 3", "comparisons do not chain");
	F("s in 'a'", "in wants its values in parentheses");
	F("id % 2", "'%' has no meaning");
	F("s.", "a field's name is missing after the dot");
	F("lines[0]", "whole number from 1");
	F("lines[id]", "whole number from 1");
	F("'{s'", "the } that ends the {hole} is missing");
	F("'a } b'", "a } in text is written }}");
	F("and", "not the word and");
	F("s for x in lines", "for stands inside a call");
	F("s if b", "if(condition, then, else)");
	F("if b then s", "a choice is written if(condition, then, else)");
	F("s + 'x'", "texts are joined as \"{a} {b}\"");
	F("s, s", "a comma stands only inside a call");
	F("count(l for l lines)", "the word in was expected");
	F("count(l for 3 in lines)", "a name for each item");
	F("trim(\"x)", "the quote that ends this text is missing");
	F("0123", "a number does not begin with 0; the text is written '0123'");
	F("NO", "no name NO here");
	F("checkout-amount * 2", "is written $in.'checkout-amount'");
	F("12345678901234567890", "at most 18 digits");
	/* places: line 8, and the column of the bad part */
	F("s + (s *", "m.map.yaml:8:");
	F("id + nope", "m.map.yaml:8:15: no name nope here");
	F("'a {nope}'", "m.map.yaml:8:15: no name nope here");
}

T(depth)
{
	char deep[400], *p = deep;

	for (int i = 0; i < 100; i++)
		*p++ = '(';
	*p++ = '1';
	for (int i = 0; i < 100; i++)
		*p++ = ')';
	*p = '\0';
	F(deep, "nested deeper than");
	char *wide = malloc(8192);

	p = wide;
	for (int i = 0; i < 1500; i++)
		p += sprintf(p, "1 +");
	strcpy(p, " 1");
	F(wide, "an expression of over");
	free(wide);
}

T(operators)
{
	V("1 + 2 * 3 - 4", "3");
	V("(1 + 2) * 3", "9");
	V("-2 * -3", "6");
	V("-(1 - 2)", "1");
	V("on ?? 0 > 0", "false");
	V("on ?? 5 * 2", "10");
	V("on ?? -1 = -1", "true");
	V("1 = 1.00", "true");
	V("3.0 + 3.00", "6.00");
	V("1.10 * 2", "2.20");
	V("n * id", "87.50");
	V("not b", "false");
	V("not b or b", "true");
	V("b and not b or b", "true");
	V("b or b and not b", "true");
	V("not id = 7", "false");
	V("id in (1, 7)", "true");
	V("id not in (1, 7)", "false");
	V("s in ('a', 'text')", "true");
	V("('b') > 'a'", "true");
	V("('a') < 'ab'", "true");
	V("id != 7", "false");
	V("id >= 7 and id <= 7", "true");
	V("at = time('2026-03-01T12:00:00+02:00')", "true");
	V("at < $event.time", "false");
	V("day = day", "true");
	/* the right side is not looked at when the left decides */
	V("b or need(o) = 'x'", "true");
	V("not b and need(o) = 'x'", "false");
	V("if(b, 1, need(on))", "1");
}

T(decimals)
{
	V("round(1 / 3, 4)", "0.3333");
	V("round(2 / 3, 2)", "0.67");
	V("round(5 / 2, 0)", "3");
	V("round(5 / 2, 0, half_even)", "2");
	V("round(-5 / 2, 0)", "-3");
	V("round(2.345, 2)", "2.35");
	V("round(2.5, 3)", "2.500");
	V("round(n * 24 / (100 + 24), 2)", "2.42");
	V("round(123456789.123456789 * 123456789.123456789, 2)",
	    "15241578780673678.52");
	F("id / 2", "a division stands directly under round");
	F("round(1 + id / 2, 2)", "a division stands directly under round");
	R("round(id / (id - 7), 2)", "division by zero");
	R("123456789.123456789 * 123456789.123456789",
	    "more digits than can be kept");
	R("123456789012345678 * 123456789012345678 * 123456789012345678",
	    "more than 38 digits");
	R("9000000000 * 9000000000000", "more digits than can be kept");
	V("9000000000 * 9000000000000 - 8999999999 * 9000000000000",
	    "9000000000000");
	F("s + 1", "a decimal is wanted here, and s is text; decimal(..)");
	F("b * 2", "and b is true or false");
	F("-s", "and s is text");
}

T(absence)
{
	F("o", "o may be absent; give a default (o ?? ..)");
	F("o = 'x'", "o may be absent");
	F("on + 1", "on may be absent");
	F("\"{o}\"", "o may be absent");
	F("addr.city", "addr.city may be absent");
	F("upper(o)", "o may be absent");
	V("o ?? 'none'", "\"none\"");
	V("addr.zip ?? o ?? 'x'", "\"x\"");
	F("on ?? o ?? 'x'", "a decimal is wanted behind ??, and o is text");
	V("addr.city ?? 'none'", "\"Turku\"");
	V("addr.zip ?? 'none'", "\"none\"");
	V("if(has(addr), addr.city, '')", "\"Turku\"");
	V("if(has(addr.zip), addr.zip, 'no zip')", "\"no zip\"");
	V("has(addr) and addr.city = 'Turku'", "true");
	V("not has(addr) or addr.city = 'Turku'", "true");
	F("if(has(addr), addr.zip, '')", "may be absent");
	R("if(need(o) = 'x', o, '')", "need() insists");
	V("if(need(addr.city) = 'Turku', addr.city, '')", "\"Turku\"");
	F("if(b or need(o) = 'x', o, '')", "may be absent");
	V("has(o)", "false");
	V("has(addr)", "true");
	R("need(o)", "v <- o (");
	SAYS("is missing, and need() insists on it");
	R("map.k3", "v <- map.k3 (");
	SAYS("is null");
	R("need(map.k3)", "is null, and need() insists");
	R("\"{map.k3}\"", "is null");
	R("first(l.name for l in lines if l.name = 'none')", "is missing");
	R("lines[9].name", "is missing");
	V("count(x for x in gone)", "0");
	V("sum(l.net for l in lines if l.qty > 100)", "0");
	V("if(id = 7, id, null) ?? 0", "7");
	F("if(id = 7, id, null)", "may be absent");
	F("meta[3].value", "may be absent");
	/* an unneeded ?? is said, and does no harm */
	V("s ?? 'x'", "\"text\"");
	CHECK(try_expr("s ?? 'x'") != NULL);
	SAYS("warning: s is always there");
	CHECK(try_expr("if(has(s), 1, 2)") != NULL);
	SAYS("warning: s is always there");
	F("s ?? 3", "text is wanted behind ??, and 3 is a whole number");
	F("id = null", "nothing compares with null; has(x)");
}

T(types)
{
	F("s = 3", "text and a whole number do not compare");
	F("at > '2026'", "a time and text do not compare; time(..)");
	F("b < true", "true and false have no order");
	F("lines = lines", "does not compare");
	F("st = 'payd'", "st is never 'payd'; did you mean 'paid'?");
	F("st in ('open', 'donne')",
	    "st is never 'donne'; did you mean 'done'");
	V("st = 'paid'", "true");
	F("not s", "true or false is wanted here, and s is text");
	F("if(s, 1, 2)", "a condition is wanted, and s is text");
	F("s.x", "text has no field x");
	F("lines.name", "wants a map, not a list");
	F("addr[1]", "wants a list, not a map");
	F("lines[1].nam", "has no field nam here; did you mean name?");
	F("stt", "no name stt here; did you mean st?");
	F("$in.lins", "has no field lins here; did you mean lines?");
	F("$evnt.id", "there is no $evnt; did you mean $event");
	F("$event.subjct", "did you mean subject");
	F("$request.x", "is not to be had here");
	F("\"{lines}\"", "a hole is text, and lines is a list");
	R("map.k1 + 1", "a number is wanted, and this is the text 'v1'");
	R("map.k1.deep", ".deep wants a map, and there stands text");
	R("map[1]", "[1] wants a list, and there stands a map");
	V("map.k2 + 1", "3");
	V("map", "{\"k1\":\"v1\",\"k2\":2,\"k3\":null}");
	V("lines[1].tags[2] ?? ''", "\"y\"");
}

/* A word that the schema's enum does not list fails when it is read, and only
 * then. */
T(unseen_words)
{
	const struct mapping *m = try_expr("if(b, st, 'x')");

	CHECK(m != NULL);
	try_run(m, "{\"b\":true,\"st\":\"lost\"}");
	SAYS("'lost' is none of the values that the schema lists");
	try_run(m, "{\"b\":true,\"st\":\"open\"}");
	CHECK_STR(try_said, "{\"v\":\"open\"}");
	try_run(m, "{\"b\":false,\"st\":\"lost\"}");
	CHECK_STR(try_said, "{\"v\":\"x\"}");
}

T_MAIN(try_begin(); T_RUN(scalars) T_RUN(text_that_reads_as_code) T_RUN(grammar)
	   T_RUN(depth) T_RUN(operators) T_RUN(decimals) T_RUN(absence)
	       T_RUN(types) T_RUN(unseen_words) try_end())
