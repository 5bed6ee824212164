/* lex - see lex.h. */
#include <stdio.h>

#include "mappings/engine/lex.h"

void
lex_fail(struct lex *p, size_t at, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (p->failed)
		return;
	p->failed = true;
	p->tok = T_END;
	if (p->silent)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_in(
	    p->l->f, p->l->file, p->src->node, at + p->src->shift, "%s", text);
}

static bool
name_start(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       c >= 0x80;
}

static bool
digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

size_t
lex_name_end(const struct lex *p, size_t i)
{
	while (i < p->n && (name_start(p->s[i]) || digit(p->s[i])))
		i++;
	return i;
}

void
lex_next(struct lex *p)
{
	const uint8_t *s = p->s;
	uint8_t c, d;

	p->ended = p->i;
	if (p->failed)
		return;
	while (p->i < p->n &&
	       (s[p->i] == ' ' || s[p->i] == '\t' || s[p->i] == '\n'))
		p->i++;
	p->at = p->i;
	if (p->i >= p->n) {
		p->tok = T_END;
		return;
	}
	c = s[p->i];
	d = p->i + 1 < p->n ? s[p->i + 1] : 0;
	if (name_start(c)) {
		p->tok = T_NAME;
		p->i = lex_name_end(p, p->i);
	} else if (digit(c)) {
		p->tok = T_NUMBER;
		while (p->i < p->n && digit(s[p->i]))
			p->i++;
		if (p->i + 1 < p->n && s[p->i] == '.' && digit(s[p->i + 1])) {
			p->i++;
			while (p->i < p->n && digit(s[p->i]))
				p->i++;
		}
	} else if (c == '$') {
		p->tok = T_ROOT;
		p->i = lex_name_end(p, p->i + 1);
	} else if (c == '"' || c == '\'') {
		p->tok = T_TEXT;
		p->i++;
	} else if (c == '!' && d == '=') {
		p->tok = T_NE;
		p->i += 2;
	} else if (c == '<' && d == '=') {
		p->tok = T_LE;
		p->i += 2;
	} else if (c == '>' && d == '=') {
		p->tok = T_GE;
		p->i += 2;
	} else if (c == '?' && d == '?') {
		p->tok = T_ALT;
		p->i += 2;
	} else if (c == '=' && d == '=') {
		lex_fail(p, p->at, "equality is written with one =");
	} else if (c == '=') {
		p->tok = T_EQ;
		p->i++;
	} else if (c > T_BAD && strchr("()[]{},.+-*/<>", c) != NULL) {
		p->tok = c;
		p->i++;
	} else if (c == '&' || c == '|' || c == '!') {
		lex_fail(p, p->at, "write and, or, not in words");
	} else {
		lex_fail(p, p->at, "'%.*s' has no meaning in an expression%s",
		    c < 0x80 ? 1 : 2, (const char *)s + p->i,
		    c == '%' ? "; percent is x / 100 under round()" : "");
	}
}

bool
lex_is(const struct lex *p, const char *word)
{
	return p->tok == T_NAME &&
	       slice_is(slice_of(p->s + p->at, p->i - p->at), word);
}

bool
lex_accept(struct lex *p, int tok)
{
	if (p->tok != tok || p->failed)
		return false;
	lex_next(p);
	return true;
}

bool
lex_word(struct lex *p, const char *word)
{
	if (p->failed || !lex_is(p, word))
		return false;
	lex_next(p);
	return true;
}

void
lex_expect(struct lex *p, int tok, const char *what)
{
	if (lex_accept(p, tok))
		return;
	if (p->tok == T_END)
		lex_fail(p, p->at, "%s is missing at the end", what);
	else
		lex_fail(p, p->at, "%s was expected, not '%.*s'", what,
		    (int)(p->i - p->at), (const char *)p->s + p->at);
}

struct slice
lex_text(const struct lex *p)
{
	return slice_of(p->s + p->at, p->i - p->at);
}
