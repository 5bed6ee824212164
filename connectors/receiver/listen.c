/* listen - see listen.h. */
#include "connectors/receiver/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG 1024

/* "http://127.0.0.1:7181" into its parts. */
static bool
parts(const char *address, char host[256], char port[6], bool *six)
{
	static const char scheme[] = "http://";
	const char *p = address + sizeof(scheme) - 1, *end;
	size_t n;

	if (strncmp(address, scheme, sizeof(scheme) - 1) != 0)
		return false;
	*six = *p == '[';
	end = *six ? strstr(++p, "]:") : strrchr(p, ':');
	if (end == NULL || end == p || (n = (size_t)(end - p)) >= 256)
		return false;
	memcpy(host, p, n);
	host[n] = '\0';
	end += *six ? 2 : 1;
	n = strspn(end, "0123456789");
	if (n == 0 || n > 5 || (end[n] != '\0' && strcmp(end + n, "/") != 0))
		return false;
	memcpy(port, end, n);
	port[n] = '\0';
	return true;
}

static int
bound_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
		struct sockaddr_storage room;
	} a;
	socklen_t n = sizeof(a);

	if (getsockname(fd, &a.any, &n) != 0)
		return 0;
	return ntohs(
	    a.any.sa_family == AF_INET6 ? a.six.sin6_port : a.four.sin_port);
}

enum err
listen_open(int *fd, const char *address, struct buf *shown)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *ai = NULL;
	char host[256], port[6];
	bool six;
	int on = 1, s, r;

	if (!parts(address, host, port, &six))
		return err_note(ERR_CONFIG,
		    "receiver.listen: \"%s\" is no address; write it as "
		    "http://127.0.0.1:7181",
		    address);
	r = getaddrinfo(host, port, &hints, &ai);
	if (r != 0)
		return err_note(ERR_CONFIG, "receiver.listen: \"%s\": %s", host,
		    gai_strerror(r));
	s = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0) {
		freeaddrinfo(ai);
		return err_errno(ERR_IO, "no socket");
	}
	(void)setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = bind(s, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(ai);
	if (r == 0)
		r = listen(s, BACKLOG);
	if (r != 0) {
		r = errno;
		(void)close(s);
		errno = r;
		if (r == EADDRINUSE)
			return err_note(ERR_BUSY,
			    "%s is taken by another program: stop it, or "
			    "change receiver.listen in vayla.yaml",
			    address);
		return err_errno(ERR_CONFIG, "cannot listen at %s", address);
	}
	buf_printf(shown, six ? "http://[%s]:%d" : "http://%s:%d", host,
	    bound_port(s));
	*fd = s;
	return ERR_OK;
}

bool
peer_loopback(const struct sockaddr *a)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	if (a->sa_family == AF_INET) {
		memcpy(&four, a, sizeof(four));
		return ntohl(four.sin_addr.s_addr) >> 24 == 127;
	}
	if (a->sa_family == AF_INET6) {
		memcpy(&six, a, sizeof(six));
		return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) &&
			   six.sin6_addr.s6_addr[12] == 127);
	}
	return false;
}

/* One sender: an IPv4 address, or the /64 that one IPv6 customer has. */
bool
peer_same(const struct sockaddr *a, const struct sockaddr *b)
{
	struct sockaddr_in fa, fb;
	struct sockaddr_in6 sa, sb;

	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET) {
		memcpy(&fa, a, sizeof(fa));
		memcpy(&fb, b, sizeof(fb));
		return fa.sin_addr.s_addr == fb.sin_addr.s_addr;
	}
	if (a->sa_family == AF_INET6) {
		memcpy(&sa, a, sizeof(sa));
		memcpy(&sb, b, sizeof(sb));
		return memcmp(&sa.sin6_addr, &sb.sin6_addr, 8) == 0;
	}
	return false;
}

size_t
files_want(size_t want)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return 256;
	if (l.rlim_cur < want) {
		rlim_t had = l.rlim_cur;

		l.rlim_cur = l.rlim_max == RLIM_INFINITY || l.rlim_max > want
				 ? (rlim_t)want
				 : l.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &l) != 0)
			l.rlim_cur = had;
	}
	return (size_t)l.rlim_cur;
}
