/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/descriptor_set.h"

__asm__(".section .rodata, \"a\"\n"
	".global pb_descriptor_set\n"
	".global pb_descriptor_set_end\n"
	"pb_descriptor_set:\n"
	".incbin \"" DESCRIPTOR_SET_FILE "\"\n"
	"pb_descriptor_set_end:\n"
	".byte 0\n"
	".previous\n");
