/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/environ.h"

#include <string.h>

#define VARIABLES_MAX 4096u
#define ARENA_MAX (SOS_FRAME_MAX + 8192u)

static char *own[VARIABLES_MAX + 1]; /* the container's, where the kernel put them */
static unsigned own_count;
static char *merged[VARIABLES_MAX + 1], *clean[VARIABLES_MAX + 1];
static unsigned merged_count;
static char arena[ARENA_MAX];
static size_t arena_used;

void sos_environ_init(char **envp)
{
	for (; *envp; envp++) {
		if (strncmp(*envp, "SOS_", 4) == 0)
			memset(*envp, 0, strlen(*envp));
		else if (own_count < VARIABLES_MAX && strchr(*envp, '='))
			own[own_count++] = *envp;
	}
	memcpy(merged, own, sizeof own);
	merged_count = own_count;
}

static size_t name_length(const char *variable)
{
	return (size_t)(strchr(variable, '=') - variable);
}

static int find(char **environment, const char *name, size_t length)
{
	for (int i = 0; environment[i]; i++)
		if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
			return i;
	return -1;
}

const char *sos_environ_get(char **environment, const char *name)
{
	int i = find(environment, name, strlen(name));
	return i < 0 ? NULL : environment[i] + strlen(name) + 1;
}

static char *store(const char *name, size_t name_size, const char *value, size_t value_size)
{
	if (name_size + value_size + 2 > ARENA_MAX - arena_used)
		return NULL;
	char *p = arena + arena_used;
	memcpy(p, name, name_size);
	p[name_size] = '=';
	memcpy(p + name_size + 1, value, value_size);
	p[name_size + 1 + value_size] = 0;
	arena_used += name_size + value_size + 2;
	return p;
}

static bool set(const char *name, size_t name_size, const char *value, size_t value_size)
{
	int at = find(merged, name, name_size);
	char *p = store(name, name_size, value, value_size);
	if (!p || (at < 0 && merged_count == VARIABLES_MAX))
		return false;
	if (at < 0) {
		merged[merged_count++] = p;
		merged[merged_count] = NULL;
	} else {
		merged[at] = p;
	}
	return true;
}

static bool set_default(const char *name, const char *value)
{
	return find(merged, name, strlen(name)) >= 0 || set(name, strlen(name), value, strlen(value));
}

/* The runtime set HOME for root, as which it started us. */
static void drop_roots_home(const struct sos_user *user)
{
	int at = find(merged, "HOME", 4);
	if (user->uid == 0 || at < 0 || (strcmp(merged[at] + 5, "/root") != 0 && strcmp(merged[at] + 5, "/") != 0))
		return;
	for (unsigned i = (unsigned)at; i < merged_count; i++)
		merged[i] = merged[i + 1];
	merged_count--;
}

static const char *login_shell(const struct sos_user *user, const char *found)
{
	static const char *const none[] = {"", "/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false"};
	for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
		if (strcmp(user->shell, none[i]) == 0)
			return found;
	return user->shell;
}

bool sos_environ_build(const struct sos_frame_string *over, uint32_t count, const struct sos_user *user,
		       const char *shell)
{
	memcpy(merged, own, sizeof own);
	merged_count = own_count;
	arena_used = 0;
	drop_roots_home(user);
	for (uint32_t i = 0; i < count; i++) {
		const char *equal = memchr(over[i].data, '=', over[i].length);
		if (!equal || equal == over[i].data)
			return false;
		size_t length = (size_t)(equal - over[i].data);
		if (!set(over[i].data, length, equal + 1, over[i].length - length - 1))
			return false;
	}
	return set_default("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") &&
	       set_default("HOME", user->home) && set_default("USER", user->name) &&
	       set_default("SHELL", login_shell(user, shell)) && set_default("TERM", "dumb") &&
	       set_default("LANG", "C.UTF-8");
}

char **sos_environ(void)
{
	return merged;
}

static bool is_one_of(const char *variable, const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		size_t length = strlen(names[i]);
		bool prefix = names[i][length - 1] == '*';
		if (prefix ? strncmp(variable, names[i], length - 1) == 0
			   : name_length(variable) == length && strncmp(variable, names[i], length) == 0)
			return true;
	}
	return false;
}

char **sos_environ_clean(void)
{
	static const char *const plain[] = {"PATH", "HOME", "USER", "SHELL", "TERM", "LANG", "HOSTNAME"};
	static const char *const steering[] = {
		"LD_*",    "BASH_*",      "ENV",      "SHELLOPTS",  "BASHOPTS", "PS4",        "IFS",
		"CDPATH",  "GLOBIGNORE",  "PROMPT_*", "GLIBC_*",    "MALLOC_*", "GCONV_PATH", "LOCPATH",
		"NLSPATH", "HOSTALIASES", "PYTHON*",  "PERL5*",     "PERLLIB",  "RUBYOPT",    "RUBYLIB",
		"NODE_*",  "JAVA_TOOL_*", "_JAVA_*",  "JDK_JAVA_*", "LUA_*",    "GIT_*",      "TMPDIR",
	};
	unsigned n = 0;
	for (unsigned i = 0; i < merged_count; i++) {
		bool ours = merged[i] >= arena && merged[i] < arena + sizeof arena; /* SETUP's, or a default */
		if (ours ? !is_one_of(merged[i], steering, sizeof steering / sizeof *steering)
			 : is_one_of(merged[i], plain, sizeof plain / sizeof *plain))
			clean[n++] = merged[i];
	}
	clean[n] = NULL;
	return clean;
}
