/* SPDX-License-Identifier: Apache-2.0 */
/* The process that holds the namespaces of a pod. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int main(void)
{
	sigset_t wanted;
	sigfillset(&wanted);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	for (;;) {
		int number = sigwaitinfo(&wanted, NULL);
		if (number == SIGTERM || number == SIGINT)
			return 0;
		if (number == SIGCHLD)
			while (waitpid(-1, NULL, WNOHANG) > 0)
				continue;
	}
}
