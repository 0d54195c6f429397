package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/internal/attest"
	"tollgate/internal/report"
)

func (a *app) attestCommand() *cobra.Command {
	var key, keygen, url string
	var subjects []string
	cmd := &cobra.Command{
		Use:   "attest RESULT",
		Short: "Sign a result, so that nobody can edit it unseen",
		Long: `attest writes attestation.json into the folder of a result: an in-toto statement
(test-result v0.1) in a DSSE envelope, signed with ed25519. It says PASSED for a
pass and FAILED for everything else, names each SLO, and binds the spec and every
file of the folder by its digest. --subject says what was tested: the artefact
or the image that is to be released. A result that contradicts itself is not
signed: exit code 6.

--keygen makes a key: FILE to sign with, and FILE.pub to verify with.`,
		Example: `  runner attest --keygen release.key
  runner attest results/soc --key release.key --subject dist/app.tar.gz
  runner attest results/soc --key release.key --subject registry.example/app=sha256:5f70bf18…`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if keygen != "" {
				if len(args) > 0 || key != "" {
					return misuse("make the key first, and sign then", "--keygen signs nothing")
				}
				return a.makeKey(keygen)
			}
			if err := takes(1, 1, "a stored result")(cmd, args); err != nil {
				return err
			}
			if key == "" {
				return misuse("runner attest --keygen FILE makes one", "--key names the key to sign with")
			}
			return a.attest(args[0], key, subjects, url)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&key, "key", "", "`file` with the key to sign with")
	cmd.Flags().StringArrayVar(&subjects, "subject", nil, "`what` was tested: a file, or NAME=sha256:HEX (repeatable; default: result.json)")
	cmd.Flags().StringVar(&url, "url", "", "`URL` of the run, such as that of the pipeline's job")
	cmd.Flags().StringVar(&keygen, "keygen", "", "make a key: `file` to sign with, and FILE.pub to verify with")
	return cmd
}

// makeKey writes a new key and its public part. Neither replaces a file.
func (a *app) makeKey(name string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return &fault{exit: state{internal: []string{err.Error()}}.exit()}
	}
	secret, err := attest.EncodeKey(private)
	if err != nil {
		return &fault{exit: state{internal: []string{err.Error()}}.exit()}
	}
	open, err := attest.EncodePublicKey(public)
	if err != nil {
		return &fault{exit: state{internal: []string{err.Error()}}.exit()}
	}
	if err := create(name, secret, 0o600); err != nil {
		return err
	}
	if err := create(name+".pub", open, 0o644); err != nil {
		_ = os.Remove(name) // a key without its other half is of no use
		return err
	}
	fmt.Fprintf(a.out, "%s signs: keep it secret, as your pipeline keeps secrets\n%s.pub verifies: give it to everybody\n", name, name)
	return nil
}

// create writes a new file.
func create(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return misuse("choose another name, or move it away: a key that is gone cannot be made again", "%s is there already", name)
	}
	if err == nil {
		_, err = f.Write(data)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			_ = os.Remove(name)
		}
	}
	if err != nil {
		return &fault{exit: state{notStored: []string{fmt.Sprintf("the key cannot be written: %v", err)}}.exit()}
	}
	return nil
}

// attest signs a result.
func (a *app) attest(name, keyFile string, subjects []string, url string) error {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return unreadable(keyFile, err)
	}
	key, err := attest.DecodeKey(text)
	if err != nil {
		return misuse("", "%s: %v", keyFile, err)
	}
	tested, err := testedSubjects(subjects)
	if err != nil {
		return err
	}
	r, err := readFolder(name)
	if err != nil {
		return err
	}
	if against, _ := r.contradictions(); len(against) > 0 {
		return &fault{exit: state{refused: against}.exit(), hint: "a result that contradicts itself is not signed"}
	}
	statement := attest.About(r.doc, r.files, tested, url)
	envelope, err := attest.Seal(statement, key)
	if err != nil {
		return &fault{exit: state{internal: []string{err.Error()}}.exit()}
	}
	if err := report.Store(r.dir, attest.FileName, envelope); err != nil {
		return &fault{exit: state{notStored: []string{err.Error()}}.exit()}
	}
	fmt.Fprintf(a.out, "%s %s: signed %s of %s\n", statement.Predicate.Result, r.title(), filepath.Join(r.dir, attest.FileName), strings.Join(subjectNames(statement.Subjects()), ", "))
	return nil
}

// testedSubjects reads the values of --subject.
func testedSubjects(texts []string) (out []attest.Subject, err error) {
	for _, text := range texts {
		if name, sha, ok := strings.Cut(text, "=sha256:"); ok {
			raw, err := hex.DecodeString(sha)
			if err != nil || len(raw) != 32 || name == "" || strings.ToLower(sha) != sha {
				return nil, misuse("write NAME=sha256: and 64 lower-case hex digits", "--subject: %q is no digest", text)
			}
			out = append(out, attest.Subject{Name: name, SHA256: sha})
			continue
		}
		data, err := os.ReadFile(text)
		if err != nil {
			f := unreadable(text, err).(*fault)
			f.hint = "--subject is a file, or NAME=sha256:HEX"
			return nil, f
		}
		out = append(out, attest.Subject{Name: filepath.Base(text), SHA256: attest.Digest(data)})
	}
	return out, nil
}

func subjectNames(subjects []attest.Subject) (out []string) {
	for _, s := range subjects {
		out = append(out, s.Name)
	}
	return out
}
