/* SPDX-License-Identifier: Apache-2.0 */
/* What a file and a stream have in common where a state goes into a machine that was made for it.
 */
#include "restore-parts.h"

#include "backing.h"
#include "block.h"
#include "cleanup.h"
#include "machine.h"
#include "section.h"

#include <stdlib.h>

int mv_restore_load_objects(struct mv_machine *machine, const struct mv_section *sections,
                            size_t count, const char *writer, struct mv_error *err)
{
    CLEANUP_FREE struct mv_machine_saved *saved = calloc(count + 1, sizeof *saved);
    size_t objects = 0;
    if (saved == NULL)
        return mv_error_set_errno(err, ENOMEM, "restoring");
    for (size_t i = 0; i < count; i++) {
        const struct mv_section *section = &sections[i];
        if (section->type == MV_SECTION_OBJECT)
            saved[objects++] = (struct mv_machine_saved){
                section->name, section->kind, section->version, section->payload, section->length};
    }
    int r = mv_machine_load_objects(machine, saved, objects, err);
    if (r == -ENOTSUP)
        mv_error_prefix(err, "'%s' wrote it", writer);
    return r;
}

bool mv_restore_is_fresh(const struct mv_block *block)
{
    const struct mv_backing *backing = block->backing;
    return backing->path == NULL && backing->nbd == NULL && backing->kind != &mv_backing_parent_fd;
}

bool mv_restore_takes_bytes(const struct mv_manifest_block *saved, const struct mv_block *block)
{
    return mv_manifest_is_bank(saved) || block->save;
}
