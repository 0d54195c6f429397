// Package schema holds the published JSON Schemas of what Tollgate reads and
// writes, as the bytes of the files beside it. It is for those who validate
// or print them; the meaning of the keys is in pkg/spec and internal/report.
package schema

import _ "embed" // the schemas

// Spec is the JSON Schema of a spec, version 1.
//
//go:embed spec.v1.json
var Spec []byte

// Result is the JSON Schema of a result document, version 1.
//
//go:embed result.v1.json
var Result []byte
