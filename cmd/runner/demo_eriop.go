package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tollgate/internal/demo"
	"tollgate/internal/postgres"
)

// eriopDatabase is the environment's name for the database of ERIOP's spec.
const eriopDatabase = "ERIOP_DATABASE_URL"

func (a *app) demoERIOPCommand() *cobra.Command {
	var o eriopOptions
	cmd := a.demoSystemCommand("eriop", "ERIOP demo system", demo.Knobs{},
		func(ctx context.Context, system demo.Options) (http.Handler, func() error, error) {
			return a.openERIOP(ctx, o, system)
		})
	cmd.Long += `

Its rows are in a PostgreSQL database: that of --database, where what is missing
of ERIOP's tables is made, or else a private server's, which is started from the
programs installed here, and is gone with the demo. Its first line is then
` + eriopDatabase + `=..., the URL for whoever seeds it: there is no account before.

--store memory needs no database and has all rows that the seed would make. It
says so on the screen and at /health.`
	cmd.Example = `  runner demo eriop --listen 127.0.0.1:8000
  runner demo eriop --database postgres://me:secret@localhost/eriop
  runner demo eriop --store memory --listen 127.0.0.1:0`
	cmd.Flags().StringVar(&o.database, "database", "", "`URL` of the PostgreSQL database for the rows")
	cmd.Flags().StringVar(&o.store, "store", "postgresql", "`where` the rows are: postgresql or memory")
	cmd.Flags().IntVar(&o.pending, "pending-limit", demo.DefaultListed, "most `rows` of GET /alerts/pending, the most urgent ones; 0 is all")
	cmd.Flags().IntVar(&o.active, "active-limit", demo.DefaultListed, "most `rows` of GET /incidents/active, the most urgent ones; 0 is all")
	return cmd
}

type eriopOptions struct {
	database, store string
	pending, active int
}

func (o eriopOptions) validate() error {
	const help = "runner demo eriop --help tells more"
	switch {
	case o.store != "postgresql" && o.store != "memory":
		return misuse(help, "--store %s: there are postgresql and memory", o.store)
	case o.store == "memory" && o.database != "":
		return misuse("leave one of them out", "--store memory uses no --database")
	case o.pending < 0 || o.active < 0:
		return misuse(help, "a limit of rows is 0 (all) or more")
	}
	return nil
}

// openERIOP opens the store that is asked for and the system on it.
func (a *app) openERIOP(ctx context.Context, o eriopOptions, system demo.Options) (http.Handler, func() error, error) {
	if err := o.validate(); err != nil {
		return nil, nil, err
	}
	options := demo.ERIOPOptions{Options: system, PendingLimit: o.pending, ActiveLimit: o.active}
	if o.store == "memory" {
		fmt.Fprintln(a.err, "note: the rows are in memory: this demo has no database to measure")
		options.Store = demo.NewMemory()
		return demo.NewERIOP(options), options.Store.Close, nil
	}
	server, err := postgres.Start(ctx, postgres.Options{URL: o.database})
	if err != nil && o.database != "" && !errors.Is(err, postgres.ErrAddress) {
		return nil, nil, &fault{exit: state{unreachable: []string{err.Error()}}.exit(), hint: "is PostgreSQL up there? without --database the demo starts one of its own, and --store memory needs none"}
	}
	if err != nil {
		return nil, nil, misuse("--database postgres://user:password@host/name names one that runs, and --store memory needs none", "%v", err)
	}
	at := server.URL
	if o.database == "" {
		if at, err = server.CreateDatabase(ctx, "eriop"); err != nil {
			return nil, nil, errors.Join(misuse("", "%v", err), server.Close())
		}
		fmt.Fprintf(a.out, "%s=%s\n", eriopDatabase, at)
	}
	store, err := demo.OpenPostgres(ctx, at)
	if err != nil {
		return nil, nil, errors.Join(misuse("the demo has to be allowed to make tables in this database", "%v", err), server.Close())
	}
	options.Store = store
	debug.SetGCPercent(400) // nothing much stays in this process, and each answer leaves some
	return demo.NewERIOP(options), func() error { return errors.Join(store.Close(), server.Close()) }, nil
}
