/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sos/sos.h>

static const char help[] =
	"Usage: sos-server [OPTION]...\n"
	"Serve sandboxes with a persistent shell session over HTTP.\n"
	"\n"
	"  -p, --port PORT            port to listen on (3000; 0: any free one, which is printed)\n"
	"  -m, --max-sandboxes N      containers at one time (10)\n"
	"      --max-waiting N        starts that may wait for a slot; further ones get 503\n"
	"                             (32 more than sandboxes)\n"
	"      --timeout SECONDS      a sandbox is stopped and removed by itself after this long (600)\n"
	"      --listen ADDRESS       IPv4 address to listen on (127.0.0.1); another than a loopback\n"
	"                             address needs --token-file or --insecure\n"
	"      --token-file FILE      clients must send one of the tokens in FILE, one a line\n"
	"      --insecure             listen on all the world without a token\n"
	"      --allow-host NAME      answer to this Host too; may be repeated\n"
	"      --allow-origin ORIGIN  let web pages of this origin in; may be repeated\n"
	"      --engine ADDRESS       the Docker Engine: unix:///path or tcp://host:port\n"
	"                             (DOCKER_HOST, then unix:///var/run/docker.sock)\n"
	"      --pool NAME            name of the pool; one server owns it (server-PORT)\n"
	"      --memory SIZE          memory of a sandbox: bytes, or with k, m, g (2g; -1: no limit)\n"
	"      --pids N               processes and threads in a sandbox (512; -1: no limit)\n"
	"      --cpus N               CPUs of a sandbox, 1.5 for example (no limit)\n"
	"      --network NET          bridge or none (bridge)\n"
	"      --transport WAY        auto, socket or attach: how sandboxes are talked to (auto)\n"
	"      --warm IMAGE=N         keep N containers of IMAGE ready; may be repeated\n"
	"      --warm-policy POLICY   fixed, or adaptive: more than that, as starts ask for them (fixed)\n"
	"      --runtime-dir DIR      for sockets and locks ($XDG_RUNTIME_DIR/sos, /run/sos for root)\n"
	"      --log-level LEVEL      error, warn, info or debug (info)\n"
	"      --log-format FORMAT    text or json (text)\n"
	"  -h, --help                 show this\n"
	"  -V, --version              show the version\n"
	"\n"
	"Examples:\n"
	"  sos-server                              127.0.0.1:3000, 10 sandboxes\n"
	"  sos-server --port 8080 -m 50 --timeout 3600\n"
	"  sos-server --network none --memory 512m --cpus 1\n"
	"  sos-server -m 40 --warm ubuntu:24.04=8  the next eight starts take less than a millisecond\n"
	"  sos-server --listen 0.0.0.0 --token-file /etc/sos/tokens\n"
	"\n"
	"SIGTERM, SIGINT or SIGHUP ends it and removes its containers; a second one ends it at once.\n";

enum {
	OPTION_LISTEN = 256,
	OPTION_TIMEOUT,
	OPTION_MAX_WAITING,
	OPTION_TOKEN_FILE,
	OPTION_INSECURE,
	OPTION_ALLOW_HOST,
	OPTION_ALLOW_ORIGIN,
	OPTION_ENGINE,
	OPTION_POOL,
	OPTION_MEMORY,
	OPTION_PIDS,
	OPTION_CPUS,
	OPTION_NETWORK,
	OPTION_TRANSPORT,
	OPTION_WARM,
	OPTION_WARM_POLICY,
	OPTION_RUNTIME_DIR,
	OPTION_LOG_LEVEL,
	OPTION_LOG_FORMAT
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "max-sandboxes", required_argument, NULL, 'm' },
	{ "max-waiting", required_argument, NULL, OPTION_MAX_WAITING },
	{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "token-file", required_argument, NULL, OPTION_TOKEN_FILE },
	{ "insecure", no_argument, NULL, OPTION_INSECURE },
	{ "allow-host", required_argument, NULL, OPTION_ALLOW_HOST },
	{ "allow-origin", required_argument, NULL, OPTION_ALLOW_ORIGIN },
	{ "engine", required_argument, NULL, OPTION_ENGINE },
	{ "pool", required_argument, NULL, OPTION_POOL },
	{ "memory", required_argument, NULL, OPTION_MEMORY },
	{ "pids", required_argument, NULL, OPTION_PIDS },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "network", required_argument, NULL, OPTION_NETWORK },
	{ "transport", required_argument, NULL, OPTION_TRANSPORT },
	{ "warm", required_argument, NULL, OPTION_WARM },
	{ "warm-policy", required_argument, NULL, OPTION_WARM_POLICY },
	{ "runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "log-format", required_argument, NULL, OPTION_LOG_FORMAT },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 }
};

static bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool wrong(const char *format, ...)
{
	char line[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fprintf(stderr, "sos-server: %s (--help shows what there is)\n", line);
	return false;
}

/* ---- values ---- */

static bool read_int(const char *name, const char *text, int64_t least, int64_t most, int64_t *value)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || *end || errno || number < least || number > most)
		return wrong("--%s takes a whole number from %lld to %lld, not \"%s\"", name, (long long)least,
			     (long long)most, text);
	*value = number;
	return true;
}

static bool read_size(const char *text, int64_t *value)
{
	static const char units[] = "bkmg";
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	const char *unit = *end ? strchr(units, *end | 0x20) : units;
	bool fine = end != text && !errno && unit && (!*end || !end[1]);
	int shift = fine ? (int)(unit - units) * 10 : 0;
	if (!fine || number < -1 || (number == -1 && shift) || number > INT64_MAX >> shift)
		return wrong("--memory takes bytes, or a number with k, m or g, not \"%s\"", text);
	*value = number < 0 ? number : number << shift;
	if (*value >= 0 && *value < 6 << 20)
		return wrong("--memory must be at least 6m, or -1 for no limit");
	return true;
}

static bool read_cpus(const char *text, int64_t *millis)
{
	char *end;
	double number = strtod(text, &end);
	if (end == text || *end || !(number >= 0.01 && number <= 1024))
		return wrong("--cpus takes a number of CPUs from 0.01 to 1024, such as 1.5, not \"%s\"", text);
	*millis = (int64_t)floor(number * 1000 + 0.5);
	return true;
}

/* The place of `text` among the NULL-terminated `choices`. */
static bool read_choice(const char *name, const char *text, const char *const *choices, uint32_t *index)
{
	char all[128] = "";
	for (uint32_t i = 0; choices[i]; i++) {
		if (strcmp(choices[i], text) == 0) {
			*index = i;
			return true;
		}
		size_t used = strlen(all);
		snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", choices[i]);
	}
	return wrong("--%s takes one of %s, not \"%s\"", name, all, text);
}

static bool append(const char ***list, const char *value)
{
	size_t count = 0;
	while (*list && (*list)[count])
		count++;
	const char **grown = realloc(*list, (count + 2) * sizeof(*grown));
	if (!grown)
		return wrong("out of memory");
	grown[count] = value;
	grown[count + 1] = NULL;
	*list = grown;
	return true;
}

static bool read_origin(struct sos_options *options, const char *text)
{
	/* It is compared with what browsers send, and goes into a header. */
	if (strlen(text) > 256 || !strstr(text, "://") || strpbrk(text, " \t\r\n*") || text[strlen(text) - 1] == '/')
		return wrong("--allow-origin takes an origin such as https://example.org, not \"%s\"", text);
	return append(&options->allow_origins, text);
}

/* An image's name has no '=', so the last one is ours. */
static bool read_warm(struct sos_options *options, const char *text)
{
	const char *equals = strrchr(text, '=');
	char *end = NULL;
	errno = 0;
	long count = equals ? strtol(equals + 1, &end, 10) : 0;
	if (!equals || equals == text || end == equals + 1 || *end || errno || count < 0 || count > 10000)
		return wrong("--warm takes an image and how many of it, such as ubuntu:24.04=4, not \"%s\"", text);
	return append(&options->warm, text);
}

char *sos_options_warm(const char *text, uint32_t *count)
{
	const char *equals = strrchr(text, '=');
	*count = (uint32_t)strtoul(equals + 1, NULL, 10);
	return strndup(text, (size_t)(equals - text));
}

/* ---- options ---- */

static bool read_number_option(struct sos_options *o, int option, const char *text)
{
	int64_t n = 0;
	switch (option) {
	case 'p':
		if (!read_int("port", text, 0, 65535, &n))
			return false;
		o->port = (uint16_t)n;
		return true;
	case 'm':
		if (!read_int("max-sandboxes", text, 1, 10000, &n))
			return false;
		o->max_sandboxes = (uint32_t)n;
		return true;
	case OPTION_MAX_WAITING:
		if (!read_int("max-waiting", text, 1, 10000, &n))
			return false;
		o->queue_limit = (uint32_t)n;
		return true;
	case OPTION_TIMEOUT:
		if (!read_int("timeout", text, 1, 30 * 86400, &n))
			return false;
		o->lifetime_ms = n * 1000;
		return true;
	case OPTION_PIDS:
		if (!read_int("pids", text, -1, 4194304, &o->pids_limit))
			return false;
		return o->pids_limit == -1 || o->pids_limit >= 8 ||
		       wrong("--pids must be at least 8, or -1 for no limit");
	case OPTION_MEMORY:
		return read_size(text, &o->memory_bytes);
	default:
		return read_cpus(text, &o->cpu_millis);
	}
}

static bool read_choice_option(struct sos_options *o, int option, const char *text)
{
	static const char *const networks[] = { "", "bridge", "none", NULL };
	static const char *const transports[] = { "auto", "socket", "attach", NULL };
	static const char *const policies[] = { "fixed", "adaptive", NULL };
	static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
	static const char *const formats[] = { "text", "json", NULL };
	uint32_t index = 0;
	bool fine;
	switch (option) {
	case OPTION_NETWORK:
		fine = read_choice("network", text, networks + 1, &index);
		o->network = index + 1; /* enum sos_network */
		return fine;
	case OPTION_TRANSPORT:
		return read_choice("transport", text, transports, &o->transport);
	case OPTION_WARM_POLICY:
		return read_choice("warm-policy", text, policies, &o->warm_policy);
	case OPTION_LOG_LEVEL:
		fine = read_choice("log-level", text, levels, &index);
		o->log_level = (enum sos_log_level)index;
		return fine;
	default:
		fine = read_choice("log-format", text, formats, &index);
		o->log_json = index == 1;
		return fine;
	}
}

static bool read_option(struct sos_options *o, int option, const char *text)
{
	switch (option) {
	case 'p':
	case 'm':
	case OPTION_MAX_WAITING:
	case OPTION_TIMEOUT:
	case OPTION_PIDS:
	case OPTION_MEMORY:
	case OPTION_CPUS:
		return read_number_option(o, option, text);
	case OPTION_LISTEN:
		o->listen = text;
		return true;
	case OPTION_TOKEN_FILE:
		o->token_file = text;
		return true;
	case OPTION_INSECURE:
		o->insecure = true;
		return true;
	case OPTION_ALLOW_HOST:
		return append(&o->allow_hosts, text);
	case OPTION_ALLOW_ORIGIN:
		return read_origin(o, text);
	case OPTION_WARM:
		return read_warm(o, text);
	case OPTION_ENGINE:
		o->engine = text;
		return true;
	case OPTION_POOL:
		o->pool = text;
		return true;
	case OPTION_RUNTIME_DIR:
		o->runtime_dir = text;
		return true;
	default:
		return read_choice_option(o, option, text);
	}
}

static bool check_listen(struct sos_options *o)
{
	struct in_addr address;
	if (strcmp(o->listen, "localhost") == 0)
		o->listen = "127.0.0.1";
	if (inet_pton(AF_INET, o->listen, &address) != 1)
		return wrong("--listen takes an IPv4 address, not \"%s\"", o->listen);
	o->loopback = ntohl(address.s_addr) >> 24 == 127;
	if (!o->loopback && !o->token_file && !o->insecure)
		return wrong("--listen %s lets others run commands here: it needs --token-file FILE, or --insecure",
			     o->listen);
	return true;
}

static bool check_warm(const struct sos_options *o)
{
	uint64_t total = 0;
	for (const char **each = o->warm; each && *each; each++)
		total += strtoul(strrchr(*each, '=') + 1, NULL, 10);
	return total <= o->max_sandboxes ||
	       wrong("--warm asks for %llu containers, more than the capacity of %u that --max-sandboxes gives",
		     (unsigned long long)total, (unsigned)o->max_sandboxes);
}

enum sos_options_outcome sos_options_read(struct sos_options *options, int argc, char **argv)
{
	*options = (struct sos_options){
		.listen = "127.0.0.1",
		.port = 3000,
		.max_sandboxes = 10,
		.lifetime_ms = 600000,
		.log_level = SOS_LOG_INFO
	};
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, ":p:m:hV", long_options, NULL)) != -1;) {
		if (option == 'h') {
			fputs(help, stdout);
			return SOS_OPTIONS_DONE;
		}
		if (option == 'V') {
			printf("sos-server %s\n", sos_version());
			return SOS_OPTIONS_DONE;
		}
		if (option == ':' || option == '?') {
			/* A short option shows in optopt, a long one only in argv. */
			const char *given = argv[optind - 1];
			char letter[3] = { '-', (char)optopt, 0 };
			if (optopt && optopt < 256 && given[1] != '-')
				given = letter;
			wrong(option == ':' ? "%s needs a value" : "%s is not an option, or takes no value", given);
			return SOS_OPTIONS_WRONG;
		}
		if (!read_option(options, option, optarg))
			return SOS_OPTIONS_WRONG;
	}
	if (optind < argc) {
		wrong("\"%s\" is one argument too many", argv[optind]);
		return SOS_OPTIONS_WRONG;
	}
	if (!options->queue_limit)
		options->queue_limit = options->max_sandboxes + 32;
	return check_warm(options) && check_listen(options) ? SOS_OPTIONS_RUN : SOS_OPTIONS_WRONG;
}

void sos_options_free(struct sos_options *options)
{
	free(options->allow_hosts);
	free(options->allow_origins);
	free(options->warm);
	options->allow_hosts = options->allow_origins = options->warm = NULL;
}
