/* SPDX-License-Identifier: Apache-2.0 */
/* The entry point: finds the verb in the table and runs it. */
#include <stdio.h>

int main(void)
{
    fprintf(stderr, "memvisor: no verb is built in\n");
    return 2;
}
