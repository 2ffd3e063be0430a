#!/bin/sh
# Copies an image made by hand from an OCI layout to a folder.
set -eu

dir=/tmp/skopeo-test
mkdir -p $dir/layout/blobs/sha256 $dir/root
echo content >$dir/root/file
# blob FILE: put a file among the blobs; print the fields that name it
blob() {
    digest=$(sha256sum "$1" | cut -d ' ' -f 1)
    mv "$1" "$dir/layout/blobs/sha256/$digest"
    printf '"digest":"sha256:%s","size":%s' "$digest" "$(stat -c %s "$dir/layout/blobs/sha256/$digest")"
}
type=application/vnd.oci.image
tar -C $dir/root -cf $dir/layer .
layer=$(blob $dir/layer)
id=${layer#*:\"}
echo "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"${id%%\"*}\"]}}" \
    >$dir/config
config=$(blob $dir/config)
echo "{\"schemaVersion\":2,\"mediaType\":\"$type.manifest.v1+json\",
    \"config\":{\"mediaType\":\"$type.config.v1+json\",$config},
    \"layers\":[{\"mediaType\":\"$type.layer.v1.tar\",$layer}]}" >$dir/manifest
manifest=$(blob $dir/manifest)
echo '{"imageLayoutVersion":"1.0.0"}' >$dir/layout/oci-layout
echo "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"$type.manifest.v1+json\",$manifest}]}" >$dir/layout/index.json

skopeo copy -q oci:$dir/layout dir:$dir/folder
[ -s $dir/folder/manifest.json ]
[ "$(skopeo inspect --format '{{.Os}} {{len .Layers}}' dir:$dir/folder)" = "linux 1" ]
rm -r $dir
