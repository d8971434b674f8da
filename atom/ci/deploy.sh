#!/bin/sh
# Put one image, named by digest, into production.
set -eu
kubectl set image deployment/runner "runner=$1"
