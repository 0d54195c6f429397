package report

import "strings"

// Data is the state of the database that a run began with, and what became of it.
type Data struct {
	Where string `json:"where"` // the database, without credentials
	// Digest is of the rows, however often they are made: two runs of one digest
	// had the same data. "" if they were not all written.
	Digest string        `json:"digest"`
	Rows   int64         `json:"rows"`
	Took   float64       `json:"took"`
	Tables []SeededTable `json:"tables"`
	// Recovered counts the rows that earlier runs had left and that were removed first.
	Recovered int64    `json:"recovered"`
	Kept      bool     `json:"kept"`    // the rows were to stay
	Cleaned   *Cleaned `json:"cleaned"` // null: nothing was removed
}

// SeededTable is one entry of the rows of a spec.
type SeededTable struct {
	Table string `json:"table"`
	As    string `json:"as"`
	Rows  int64  `json:"rows"`
}

// Cleaned is what was removed after a run.
type Cleaned struct {
	Deleted int64   `json:"deleted"` // seeded rows
	Gone    int64   `json:"gone"`    // seeded rows that somebody else had deleted
	Made    int64   `json:"made"`    // rows that the load had made
	Took    float64 `json:"took"`
	Whole   bool    `json:"whole"` // nothing is left
}

// Remains tells whether rows that were to be removed may be in the database still.
func (d *Data) Remains() bool {
	return d != nil && d.Rows > 0 && !d.Kept && (d.Cleaned == nil || !d.Cleaned.Whole)
}

// sentence tells what the database was, and what became of it.
func (d *Data) sentence() string {
	parts := []string{plural(int(d.Rows), "row") + " in " + d.Where + ", made in " + span(d.Took)}
	if d.Digest == "" {
		parts = []string{d.Where + " was not seeded"}
	}
	if d.Recovered > 0 {
		parts = append(parts, "after removing "+count(uint64(d.Recovered))+" that earlier runs had left")
	}
	switch c := d.Cleaned; {
	case d.Kept:
		parts = append(parts, "kept")
	case c == nil && d.Remains():
		parts = append(parts, "not removed by the run")
	case c == nil:
	case !c.Whole:
		parts = append(parts, "not all removed")
	default:
		text := "removed in " + span(c.Took)
		if c.Made > 0 {
			text += " with " + count(uint64(c.Made)) + " that the load had made"
		}
		if c.Gone > 0 {
			text += "; " + count(uint64(c.Gone)) + " had been deleted already"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
