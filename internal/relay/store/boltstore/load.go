package boltstore

import (
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/relay/store"
)

// contents is what a data file holds, in memory.
type contents struct {
	table *store.Table
	keys  *store.Keyring
	tally tally
	// unreadable names the damaged records, in the order of the file.
	unreadable []string
	bytes      int64 // of names and records
}

// load reads and checks everything in db. Records with a wrong checksum become
// unreadable slots and keys; whatever else is wrong is damage to the file.
func load(db *bolt.DB, limits store.Options) (*contents, error) {
	c := &contents{table: store.NewTable(limits), keys: store.NewKeyring(limits)}
	return c, guarded(func() error { return db.View(c.read) })
}

func (c *contents) read(tx *bolt.Tx) error {
	written, err := loadTally(tx)
	if err != nil {
		return err
	}
	if err := c.bucket(tx, messagesBucket, c.message); err != nil {
		return err
	}
	if err := c.bucket(tx, keysBucket, c.key); err != nil {
		return err
	}
	return written.check(c.tally, len(c.unreadable))
}

// bucket hands each record of a bucket to take, which returns the name that the
// record gives itself, or an error if the record cannot be read.
func (c *contents) bucket(tx *bolt.Tx, bucket string, take func(key string, rec []byte) (name string, err error)) error {
	return tx.Bucket([]byte(bucket)).ForEach(func(key, rec []byte) error {
		if rec == nil {
			return damaged("records", "%s holds the bucket %q", bucket, key)
		}
		c.tally.add(rec)
		c.bytes += int64(len(key) + len(rec))
		name, err := take(string(key), rec)
		if err != nil {
			c.unreadable = append(c.unreadable, string(key))
		} else if name != string(key) {
			// The record is sound, so the key is not: the slot it belongs to would
			// be taken for empty.
			return damaged("records", "%q lies where %q should", key, name)
		}
		return nil
	})
}

func (c *contents) message(key string, rec []byte) (string, error) {
	r, err := decodeMessage(rec)
	if err != nil {
		topic := strings.TrimPrefix(key, store.MessageKey(""))
		r = &store.Record{Topic: pubsub.Topic(topic), Unreadable: true}
	}
	c.table.Set(r)
	return store.MessageKey(r.Topic), err
}

func (c *contents) key(id string, rec []byte) (string, error) {
	k, err := decodeKey(rec)
	if err != nil {
		c.keys.SetUnreadable(id)
		return id, err
	}
	c.keys.Set(k)
	return k.ID, nil
}
