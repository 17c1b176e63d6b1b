/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/all_types/all_types_schema.h"

#include "all_types.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

extern const uint8_t all_types_set[], all_types_set_end[];
__asm__(".section .rodata, \"a\"\n"
	".global all_types_set\n"
	".global all_types_set_end\n"
	"all_types_set:\n"
	".incbin \"" DESCRIPTOR_SET_FILE "\"\n"
	"all_types_set_end:\n"
	".byte 0\n"
	".previous\n");

static struct schema *make(const ProtobufCServiceDescriptor *const *services, size_t n)
{
	const struct schema_roots roots = {.services = services, .n_services = n};
	struct schema *schema = NULL;
	struct status status = schema_new(
		all_types_set, (size_t)(all_types_set_end - all_types_set), &roots, &schema);
	if (status.code != STATUS_OK) {
		fprintf(stderr, "all_types: %s\n", status.message);
		abort();
	}
	return schema;
}

struct schema *all_types_schema_new(void)
{
	static const ProtobufCServiceDescriptor *const services[] = {
		&test__v1__all_types_service__descriptor, &test__v1__route_service__descriptor};
	return make(services, 2);
}

struct schema *all_types_schema_of(const ProtobufCServiceDescriptor *service)
{
	return make(&service, 1);
}
