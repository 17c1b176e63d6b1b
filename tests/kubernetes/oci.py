#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Write an image of one layer, without a daemon.

usage: oci.py ARCHIVE NAME:TAG FOLDER ENTRYPOINT...
"""

import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile


def main(archive, name, folder, *entrypoint):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            tar.add(path, path.relative_to(folder), recursive=False)
    layer = buffer.getvalue()
    blobs = {}

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    config = blob(json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"User": "65532:65532", "Entrypoint": list(entrypoint)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}}).encode(),
        "config.v1+json")
    manifest = blob(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [blob(gzip.compress(layer, mtime=0), "layer.v1.tar+gzip")]}).encode(), "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    with tarfile.open(archive, "w") as tar:
        def add(path, data):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add("index.json", json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode())
        for digest, data in blobs.items():
            add(f"blobs/sha256/{digest}", data)


if __name__ == "__main__":
    main(*sys.argv[1:])
