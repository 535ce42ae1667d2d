/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/warm_key.h"

#include <string.h>

#include "wire/image_ref.h"

bool sos_warm_key_equal(const struct sos_spec *one, const struct sos_spec *other)
{
	return one->memory_bytes == other->memory_bytes && one->cpu_millis == other->cpu_millis &&
	       one->pids_limit == other->pids_limit && one->network == other->network &&
	       one->streams == other->streams && one->profile == other->profile && one->flags == other->flags &&
	       !strcmp(one->user, other->user) && !strcmp(one->runtime, other->runtime) &&
	       !strcmp(one->working_directory, other->working_directory) &&
	       sos_image_ref_same(one->image, other->image);
}

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return (hash ^ length) * 0x100000001b3u;
}

uint64_t sos_warm_key_hash(const struct sos_spec *spec)
{
	const char *const texts[] = {spec->image, spec->user, spec->runtime, spec->working_directory};
	const int64_t numbers[] = {spec->memory_bytes, spec->cpu_millis, spec->pids_limit, spec->network,
				   spec->streams,      spec->profile,	 spec->flags};
	uint64_t hash = mix(0xcbf29ce484222325u, numbers, sizeof(numbers));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		hash = mix(hash, texts[i], strlen(texts[i]));
	return hash;
}

/* ---- environment ---- */

static size_t name_length(const char *pair)
{
	return (size_t)(strchr(pair, '=') - pair);
}

/* As the environment is built the last one of a name holds. NULL: there is none. */
static const char *find(char *const *environment, const char *pair, size_t length)
{
	const char *found = NULL;
	for (; *environment; environment++)
		if (!strncmp(*environment, pair, length) && (*environment)[length] == '=')
			found = *environment;
	return found;
}

bool sos_warm_adds(const struct sos_spec *made, const struct sos_spec *wanted, size_t index)
{
	const char *pair = wanted->environment[index];
	size_t length = name_length(pair);
	const char *before = find(made->environment, pair, length);
	/* An earlier one of the same name does not hold. */
	return find(wanted->environment, pair, length) == pair && (!before || strcmp(before, pair));
}

/* Names that a shell treats in its own way when it finds them at its start, or changes by itself. */
static bool is_the_shells(const char *name, size_t length)
{
	static const char *const names[] = {
		"BASH*",   "COMP_*",	"COMPREPLY", "DIRSTACK",  "EMACS",    "ENV",	 "EPOCH*", "EUID",
		"FCEDIT",  "FIGNORE",	"FUNC*",     "GLOBIGNORE", "GROUPS",  "HIST*",	 "HOME",   "HOST*",
		"IFS",	   "IGNOREEOF", "INPUTRC",   "INSIDE_*",  "LANG*",    "LC_*",	 "LINE*",  "COLUMNS",
		"MACHTYPE", "MAIL*",	"OLDPWD",    "OPT*",	  "OSTYPE",   "PATH",	 "PIPESTATUS", "PPID",
		"POSIX*",  "PROMPT_*",	"PS0",	     "PS1",	  "PS2",      "PS3",	 "PS4",	   "PWD",
		"RANDOM",  "READLINE*", "REPLY",     "SECONDS",	  "SHELL*",   "SHLVL",	 "SRANDOM", "TERM*",
		"TIMEFORMAT", "TMOUT",	"TZ",	     "UID",	  "_",	      "auto_resume", "histchars", "ignoreeof",
		"CDPATH",  "CHILD_MAX", "EXECIGNORE", "MALLOC_*", "TMPDIR",   "LD_*",	 "GLIBC_*", "COPROC",
		"MAPFILE", "USER",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t most = strlen(names[i]);
		bool prefix = names[i][most - 1] == '*';
		if (prefix ? length >= most - 1 && !memcmp(name, names[i], most - 1)
			   : length == most && !memcmp(name, names[i], most))
			return true;
	}
	return false;
}

static bool is_plain_name(const char *name, size_t length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	return strspn(name, letters) >= length && (*name < '0' || *name > '9') && !is_the_shells(name, length);
}

/* What "NAME='value' " takes, each quote in it as '\''. */
static size_t quoted(const char *pair)
{
	size_t length = strlen(pair) + 3;
	for (const char *c = strchr(pair, '\''); c; c = strchr(c + 1, '\''))
		length += 3;
	return length;
}

/* A shell that runs can become one that was started with `wanted`. */
static bool may_export(const struct sos_spec *made, const struct sos_spec *wanted)
{
	size_t total = 0;
	for (size_t i = 0; made->environment[i]; i++)
		if (!find(wanted->environment, made->environment[i], name_length(made->environment[i])))
			return false;
	for (size_t i = 0; wanted->environment[i]; i++) {
		const char *pair = wanted->environment[i];
		if (!sos_warm_adds(made, wanted, i))
			continue;
		total += quoted(pair);
		if (total > SOS_WARM_EXPORTS_MOST || !is_plain_name(pair, name_length(pair)))
			return false;
	}
	return true;
}

/* Its setup ran with the variables of `made`: they must be there, and the same. */
static bool has_all(const struct sos_spec *made, const struct sos_spec *wanted)
{
	for (size_t i = 0; made->environment[i]; i++) {
		size_t length = name_length(made->environment[i]);
		const char *ours = find(made->environment, made->environment[i], length);
		const char *theirs = find(wanted->environment, made->environment[i], length);
		if (!theirs || strcmp(ours, theirs))
			return false;
	}
	return true;
}

struct sos_warm_fit sos_warm_fit(const struct sos_spec *made, const struct sos_spec *wanted)
{
	const struct sos_warm_fit none = {SOS_WARM_NO, 0};
	size_t done = 0;
	if (!sos_warm_key_equal(made, wanted))
		return none;
	for (; made->setup_commands[done]; done++)
		if (!wanted->setup_commands[done] ||
		    strcmp(made->setup_commands[done], wanted->setup_commands[done]))
			return none;
	if (done && !has_all(made, wanted))
		return none;
	if (may_export(made, wanted))
		return (struct sos_warm_fit){SOS_WARM_AS_IT_IS, done};
	/* A new shell would not have what the setup left in the old one. */
	return done ? none : (struct sos_warm_fit){SOS_WARM_NEW_SHELL, 0};
}
