package main

import (
	"io"
	"os"
	"path/filepath"

	"tollgate/internal/compare"
	"tollgate/internal/report"
)

// tooLong is beyond any result that a run of days leaves.
const tooLong = 1 << 30

// readResult reads a stored result, given as its folder or as the file itself.
func readResult(name string) (*report.Document, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, "result.json")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tooLong))
	if err != nil {
		return nil, unreadable(name, err)
	}
	d, err := report.Decode(text)
	if err != nil {
		return nil, misuse("a result is what runner run leaves in its folder as result.json", "%s: %v", name, err)
	}
	return d, nil
}

// unlike says in words in which fields two runs differ.
func unlike(differences []compare.Difference) []string {
	var out []string
	for _, d := range differences {
		out = append(out, d.String())
	}
	return out
}
