/*
 * fail - named places at which a crash test may end the process: built in with
 * -DVAYLA_FAILPOINTS only, switched on by VAYLA_FAILPOINT=name:count (the
 * count-th time that this place is passed).
 */
#ifndef VAYLA_CORE_FAIL_H
#define VAYLA_CORE_FAIL_H

#ifdef VAYLA_FAILPOINTS
void fail_point(const char *name);
#define FAIL_POINT(name) fail_point(name)
#else
#define FAIL_POINT(name) ((void)0)
#endif

#endif
