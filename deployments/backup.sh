#!/bin/sh
# Copies everything that runs consist of to $BACKUP_TO, while runs go on; see docs/operating.md.
#
# A run writes bytes first, then the commit that names them, then the tracker's word for it. Copied
# the other way round, whatever a copy names was there when its turn came.
set -eu
cd "$BACKUP_TO"

for database in mlflow mlflow_auth prefect; do
    pg_dump --format=custom --file="$database.new" "$database"
    mv "$database.new" "$database.dump"
done

# `copy`, never `sync`: what is lost over there must not get lost here too.
rclone copy "$BACKUP_ARTIFACTS" artifacts

# --mirror, because a plain clone has no refs/anchored.
for url in $BACKUP_REPOS; do
    # git@HOST:TEAM/NAME.git and https://HOST/TEAM/NAME are both in git/HOST/TEAM/NAME.git.
    place=$(printf %s "${url%.git}" | sed 's#^[a-z+]*://##; s#^[^/]*@##; s#:#/#; s#^/*##')
    mirror=git/$place.git
    [ -d "$mirror" ] || git clone --quiet --mirror "$url" "$mirror"
    git -C "$mirror" fetch --quiet
    git -C "$mirror" show-ref --quiet || { echo "$url has no branch, and no run" >&2; exit 1; }
    # What LFS keeps is not in the mirror by itself.
    lfs=$(git -C "$mirror" log --all -1 --format=%H -G'filter=lfs' -- '*.gitattributes')
    [ -z "$lfs" ] || git -C "$mirror" lfs fetch --all
done

# An object's name is its hash: one that differs from its copy is rot, and an error.
rclone copy --checksum --immutable "$BACKUP_DVC" dvc
