package boltstore

import (
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
	if err := c.bucket(tx, messagesBucket, store.MessageKey(""), c.message); err != nil {
		return err
	}
	if err := c.bucket(tx, keysBucket, "", c.key); err != nil {
		return err
	}
	return written.check(c.tally, len(c.unreadable))
}

// bucket hands each record of a bucket to take, which keeps it, or something
// unreadable in its place. Either way the record must name the key it lies
// under: where it does not, the slot it belongs to would be taken for empty.
func (c *contents) bucket(tx *bolt.Tx, bucket, prefix string, take func(name string, rec []byte) error) error {
	return tx.Bucket([]byte(bucket)).ForEach(func(key, rec []byte) error {
		if rec == nil {
			return damaged("records", "%s holds the bucket %q", bucket, key)
		}
		name := claimedName(rec)
		if prefix+name != string(key) {
			return damaged("records", "what lies under %q says it is %q", key, prefix+name)
		}
		c.tally.add(rec)
		c.bytes += int64(len(key) + len(rec))
		if take(name, rec) != nil {
			c.unreadable = append(c.unreadable, string(key))
		}
		return nil
	})
}

func (c *contents) message(topic string, rec []byte) error {
	r, err := decodeMessage(rec)
	if err != nil {
		r = &store.Record{Topic: pubsub.Topic(topic), Unreadable: true}
	}
	c.table.Set(r)
	return err
}

func (c *contents) key(id string, rec []byte) error {
	k, err := decodeKey(rec)
	if err != nil {
		c.keys.SetUnreadable(id)
		return err
	}
	c.keys.Set(k)
	return nil
}
