package hotel

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/gomodule/redigo/redis"
)

// Store is the database (Redis) and the cache before it (memcached).
type Store struct {
	database *redis.Pool
	Cache    *memcache.Client
}

// Open connects to the database and, where the function has one, the cache. Both must be there.
func Open() *Store {
	address := os.Getenv("DATABASE")
	store := &Store{database: &redis.Pool{
		MaxIdle: 4,
		Dial:    func() (redis.Conn, error) { return redis.Dial("tcp", address, redis.DialConnectTimeout(5*time.Second)) },
	}}
	if _, err := store.do("PING"); err != nil {
		log.Fatalf("the database at %s: %v", address, err)
	}
	if cache := os.Getenv("CACHE"); cache != "" {
		store.Cache = memcache.New(cache)
		store.Cache.Timeout = 5 * time.Second
	}
	return store
}

func (s *Store) do(command string, arguments ...interface{}) (interface{}, error) {
	connection := s.database.Get()
	defer connection.Close()
	return connection.Do(command, arguments...)
}

// Put writes a record of a table as JSON.
func (s *Store) Put(table, key string, record interface{}) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	_, err = s.do("HSET", table, key, text)
	return err
}

// MustPut is Put for the data that a function sets out with.
func (s *Store) MustPut(table, key string, record interface{}) {
	if err := s.Put(table, key, record); err != nil {
		log.Fatalf("cannot fill table %s: %v", table, err)
	}
}

// Get reads a record. found is false where there is none.
func (s *Store) Get(table, key string, record interface{}) (found bool, err error) {
	text, err := redis.Bytes(s.do("HGET", table, key))
	if err == redis.ErrNil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(text, record)
}

// All hands every record of a table to each, as JSON.
func (s *Store) All(table string, each func(key string, text []byte) error) error {
	records, err := redis.StringMap(s.do("HGETALL", table))
	if err != nil {
		return err
	}
	for key, text := range records {
		if err := each(key, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
