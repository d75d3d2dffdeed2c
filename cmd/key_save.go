package cmd

import (
	"path/filepath"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// saveKey makes a key the one of the selected context: its value goes into the
// keyring, or where there is none into a file of its own, and the context names
// the place.
func (d deps) saveKey(s *config.Settings, k provision.Key) error {
	name := s.Context.Text
	if s.Contexts.Path == "" {
		return ui.Problemf(ui.ConfigUnreadable, "there is no place for the contexts file").
			Because("the environment names no home directory").Try("pubsubctl key create --config FILE --save")
	}
	ctx, _ := s.Contexts.Get(name)
	where, err := d.putKey(s.Contexts, name, ctx, k)
	if err != nil {
		return err
	}
	if where != "" {
		d.io.Warn("%s", where)
	}
	d.io.Note("context %s signs with key %s from now on", name, k.ID)
	return nil
}

// putKey writes a context with a key. where says so if the key's value is in a file
// because there is no keyring.
func (d deps) putKey(all *config.Contexts, name string, ctx config.Context, k provision.Key) (where string, err error) {
	keep := config.KeepInKeyring
	if d.env("PUBSUBCTL_KEYRING") == "off" {
		keep = nil
	}
	dir := filepath.Join(filepath.Dir(all.Path), "secrets")
	ref, ringless, err := config.Keep(keep, dir, name+"/"+k.ID, k.Value.Reveal())
	if err != nil {
		return "", err
	}
	ctx.Key = config.Key{ID: k.ID, Secret: ref}
	if ringless != nil {
		where = "there is no keyring to use, so the secret is in a file that only you can read: " + ref.String()
	}
	return where, all.Put(name, ctx)
}
