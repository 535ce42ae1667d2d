/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/frame.h"

#include <string.h>

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

int sos_frame_parse(const void *data, size_t length, struct sos_frame *frame)
{
	const uint8_t *p = data;
	if (length < SOS_FRAME_HEADER)
		return 0;
	uint32_t payload = get32(p);
	uint16_t fds = (uint16_t)(p[6] | p[7] << 8);
	if (payload > SOS_FRAME_MAX || fds > SOS_FRAME_FDS)
		return -1;
	if (length - SOS_FRAME_HEADER < payload)
		return 0;
	*frame = (struct sos_frame){
		.type = (uint16_t)(p[4] | p[5] << 8),
		.fds = fds,
		.id = get32(p + 8),
		.payload = p + SOS_FRAME_HEADER,
		.length = payload,
	};
	return (int)(SOS_FRAME_HEADER + payload);
}

void sos_frame_head(uint8_t head[SOS_FRAME_HEADER], uint16_t type, uint16_t fds, uint32_t id, uint32_t length)
{
	put32(head, length);
	put32(head + 4, (uint32_t)type | (uint32_t)fds << 16);
	put32(head + 8, id);
}

void sos_frame_reader_init(struct sos_frame_reader *reader, const struct sos_frame *frame)
{
	*reader = (struct sos_frame_reader){ .data = frame->payload, .left = frame->length };
}

static const uint8_t *take(struct sos_frame_reader *reader, size_t length)
{
	if (reader->failed || reader->left < length) {
		reader->failed = true;
		return NULL;
	}
	const uint8_t *p = reader->data;
	reader->data += length;
	reader->left -= length;
	return p;
}

uint32_t sos_frame_read_u32(struct sos_frame_reader *reader)
{
	const uint8_t *p = take(reader, 4);
	return p ? get32(p) : 0;
}

uint64_t sos_frame_read_u64(struct sos_frame_reader *reader)
{
	const uint8_t *p = take(reader, 8);
	return p ? (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32 : 0;
}

struct sos_frame_string sos_frame_read_bytes(struct sos_frame_reader *reader)
{
	uint32_t length = sos_frame_read_u32(reader);
	const uint8_t *p = take(reader, length);
	return p ? (struct sos_frame_string){ (const char *)p, length } : (struct sos_frame_string){ "", 0 };
}

struct sos_frame_string sos_frame_read_string(struct sos_frame_reader *reader)
{
	struct sos_frame_string s = sos_frame_read_bytes(reader);
	if (s.length && memchr(s.data, 0, s.length)) {
		reader->failed = true;
		return (struct sos_frame_string){ "", 0 };
	}
	return s;
}

uint32_t sos_frame_read_list(struct sos_frame_reader *reader, struct sos_frame_string *strings, uint32_t max)
{
	uint32_t count = sos_frame_read_u32(reader);
	if (count > max || count > reader->left / 4) {
		reader->failed = true;
		return 0;
	}
	for (uint32_t i = 0; i < count; i++)
		strings[i] = sos_frame_read_string(reader);
	return reader->failed ? 0 : count;
}

bool sos_frame_read_done(const struct sos_frame_reader *reader)
{
	return !reader->failed && reader->left == 0;
}

void sos_frame_begin(struct sos_frame_writer *writer, void *data, size_t capacity)
{
	*writer = (struct sos_frame_writer){ .data = data, .capacity = capacity, .length = SOS_FRAME_HEADER };
	writer->failed = capacity < SOS_FRAME_HEADER;
}

void sos_frame_put_raw(struct sos_frame_writer *writer, const void *data, size_t length)
{
	if (writer->failed || length > writer->capacity - writer->length) {
		writer->failed = true;
		return;
	}
	if (length)
		memcpy(writer->data + writer->length, data, length);
	writer->length += length;
}

void sos_frame_put_u32(struct sos_frame_writer *writer, uint32_t value)
{
	uint8_t b[4];
	put32(b, value);
	sos_frame_put_raw(writer, b, 4);
}

void sos_frame_put_u64(struct sos_frame_writer *writer, uint64_t value)
{
	sos_frame_put_u32(writer, (uint32_t)value);
	sos_frame_put_u32(writer, (uint32_t)(value >> 32));
}

void sos_frame_put_bytes(struct sos_frame_writer *writer, const void *data, size_t length)
{
	if (length > SOS_FRAME_MAX) {
		writer->failed = true;
		return;
	}
	sos_frame_put_u32(writer, (uint32_t)length);
	sos_frame_put_raw(writer, data, length);
}

void sos_frame_put_string(struct sos_frame_writer *writer, const char *string)
{
	sos_frame_put_bytes(writer, string, strlen(string));
}

size_t sos_frame_end(struct sos_frame_writer *writer, uint16_t type, uint16_t fds, uint32_t id)
{
	if (writer->failed || writer->length - SOS_FRAME_HEADER > SOS_FRAME_MAX)
		return 0;
	sos_frame_head(writer->data, type, fds, id, (uint32_t)(writer->length - SOS_FRAME_HEADER));
	return writer->length;
}

static void put_list(struct sos_frame_writer *w, const struct sos_frame_string *strings, uint32_t count)
{
	sos_frame_put_u32(w, count);
	for (uint32_t i = 0; i < count; i++)
		sos_frame_put_bytes(w, strings[i].data, strings[i].length);
}

static void put_str(struct sos_frame_writer *w, struct sos_frame_string s)
{
	sos_frame_put_bytes(w, s.data, s.length);
}

size_t sos_frame_write_setup(void *data, size_t capacity, uint32_t id, const struct sos_frame_setup *s)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, capacity);
	sos_frame_put_u64(&w, s->lifetime_ms);
	sos_frame_put_u64(&w, s->idle_timeout_ms);
	sos_frame_put_u64(&w, s->lease_ms);
	sos_frame_put_u32(&w, s->flags);
	put_str(&w, s->user);
	put_str(&w, s->working_directory);
	put_str(&w, s->hostname);
	put_str(&w, s->record);
	put_list(&w, s->environment, s->environment_count);
	return sos_frame_end(&w, SOS_FRAME_SETUP, 0, id);
}

bool sos_frame_read_setup(const struct sos_frame *frame, struct sos_frame_setup *s,
			  struct sos_frame_string *environment, uint32_t environment_max)
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	*s = (struct sos_frame_setup){ 0 };
	s->lifetime_ms = sos_frame_read_u64(&r);
	s->idle_timeout_ms = sos_frame_read_u64(&r);
	s->lease_ms = sos_frame_read_u64(&r);
	s->flags = sos_frame_read_u32(&r);
	s->user = sos_frame_read_string(&r);
	s->working_directory = sos_frame_read_string(&r);
	s->hostname = sos_frame_read_string(&r);
	s->record = sos_frame_read_bytes(&r);
	s->environment = environment;
	s->environment_count = sos_frame_read_list(&r, environment, environment_max);
	return sos_frame_read_done(&r) && s->record.length <= SOS_FRAME_RECORD_MAX;
}

size_t sos_frame_write_spawn(void *data, size_t capacity, uint32_t id, uint16_t fds, const struct sos_frame_spawn *s)
{
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, capacity);
	sos_frame_put_u32(&w, s->kind);
	sos_frame_put_u32(&w, s->flags);
	put_str(&w, s->path);
	put_list(&w, s->argv, s->argc);
	sos_frame_put_u32(&w, s->fd_count);
	for (uint32_t i = 0; i < s->fd_count; i++) {
		sos_frame_put_u32(&w, s->fds[i].target);
		sos_frame_put_u32(&w, s->fds[i].end);
		sos_frame_put_u32(&w, s->fds[i].source);
		sos_frame_put_u32(&w, s->fds[i].mode);
	}
	return sos_frame_end(&w, SOS_FRAME_SPAWN, fds, id);
}

bool sos_frame_read_spawn(const struct sos_frame *frame, struct sos_frame_spawn *s, struct sos_frame_string *argv,
			  uint32_t argv_max, struct sos_frame_fd fd[SOS_SPAWN_FDS_MAX])
{
	struct sos_frame_reader r;
	sos_frame_reader_init(&r, frame);
	*s = (struct sos_frame_spawn){ 0 };
	s->kind = sos_frame_read_u32(&r);
	s->flags = sos_frame_read_u32(&r);
	s->path = sos_frame_read_string(&r);
	s->argv = argv;
	s->argc = sos_frame_read_list(&r, argv, argv_max);
	s->fds = fd;
	s->fd_count = sos_frame_read_u32(&r);
	if (s->fd_count > SOS_SPAWN_FDS_MAX)
		return false;
	for (uint32_t i = 0; i < s->fd_count; i++) {
		fd[i].target = sos_frame_read_u32(&r);
		fd[i].end = sos_frame_read_u32(&r);
		fd[i].source = sos_frame_read_u32(&r);
		fd[i].mode = sos_frame_read_u32(&r);
	}
	return sos_frame_read_done(&r);
}
