/*
 * cmd_inbox - what the two halves of `vayla inbox` share: cmd_inbox.c (list,
 * answer, retry, skip) and cmd_edit.c (show, edit, snooze).
 */
#ifndef VAYLA_CMD_INBOX_H
#define VAYLA_CMD_INBOX_H

#include "broker/cmd.h"

struct inbox {
	struct cmd c;
	const char *reason, *for_;
	bool all, data;
};

/* SUB SEQ, as typed after the verb. */
enum err inbox_words(
    char **words, const char *act, struct action *a) MUST_CHECK;
void inbox_print(struct slice item);

enum err inbox_show(struct inbox *in, char **words) MUST_CHECK;
enum err inbox_edit(struct inbox *in, char **words) MUST_CHECK;
enum err inbox_snooze(struct inbox *in, char **words) MUST_CHECK;

#endif
