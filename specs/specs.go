// Package specs holds the specs beside it as bytes, so that the binary can run
// them anywhere. They are ordinary spec files: read them as examples.
package specs

import _ "embed" // the specs

// SOC is the load test of the SOC Agent System, soc.yaml.
//
//go:embed soc.yaml
var SOC []byte

// ERIOP is the load test of ERIOP, eriop.yaml, with its database.
//
//go:embed eriop.yaml
var ERIOP []byte
