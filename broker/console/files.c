/*
 * files - broker/console/web/, put into the program by the assembler, so that
 * one file is all there is to install. A new file is one line in each list.
 */
#include "broker/console/files.h"

#define EMBED(name, path)                                   \
	__asm__(".section .rodata\n"                        \
		".global web_" #name "\n"                   \
		"web_" #name ":\n"                          \
		".incbin \"broker/console/web/" path "\"\n" \
		".global web_" #name "_end\n"               \
		"web_" #name "_end:\n"                      \
		".previous\n");                             \
	extern const uint8_t web_##name[], web_##name##_end[]

EMBED(index, "index.html");
EMBED(app, "app.js");
EMBED(now, "now.js");
EMBED(order, "order.js");
EMBED(style, "style.css");

static const struct {
	const char *path;
	const uint8_t *from, *to;
	const char *type;
} files[] = {
    {"/index.html", web_index, web_index_end, "text/html; charset=utf-8"},
    {"/app.js", web_app, web_app_end, "text/javascript; charset=utf-8"},
    {"/now.js", web_now, web_now_end, "text/javascript; charset=utf-8"},
    {"/order.js", web_order, web_order_end, "text/javascript; charset=utf-8"},
    {"/style.css", web_style, web_style_end, "text/css; charset=utf-8"},
};

bool
console_file(const char *path, struct slice *body, const char **type)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(files[i].path, path) != 0)
			continue;
		*body = slice_of(
		    files[i].from, (size_t)(files[i].to - files[i].from));
		*type = files[i].type;
		return true;
	}
	return false;
}
