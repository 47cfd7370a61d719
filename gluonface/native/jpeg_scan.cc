// Whether the compressed data of a JPEG is whole. The Huffman codes are followed from the first to
// the last block, without computing pixels (ITU-T T.81, baseline and progressive). The same in
// Python is tests/reference/jpeg_scan.py. Every read is checked: the bytes are a stranger's.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

enum Found { kNothing = 0, kBad = 1, kEnds = 2, kMore = 3 };

struct Damage { Found what; };
struct Unknown {};  // of the headers, which decoders check themselves

constexpr int64_t kMostPixels = int64_t{1} << 26;
constexpr size_t kPadding = 256;  // more than the bits of one block

using Table = std::vector<int32_t>;  // for 16 bits: symbol << 5 | bits of its code; 0: no code

struct Bits {
  std::vector<uint8_t> bytes;
  size_t at = 0, end = 0;

  int32_t peek() const {
    size_t byte = at >> 3;
    if (byte + 3 > bytes.size()) throw Damage{kEnds};
    uint32_t word = uint32_t{bytes[byte]} << 16 | uint32_t{bytes[byte + 1]} << 8 | bytes[byte + 2];
    return word >> (8 - (at & 7)) & 0xFFFF;
  }
  int32_t take(int count) {
    int32_t value = peek() >> (16 - count);
    at += count;
    return value;
  }
  int32_t symbol(const Table& table) {
    int32_t entry = table[peek()];
    if (!entry) throw Damage{kBad};
    at += entry & 31;
    return entry >> 5;
  }
  int32_t difference(int size) {  // of DC coefficients
    if (size > 11) throw Damage{kBad};
    if (!size) return 0;
    int32_t value = take(size);
    return value >> (size - 1) ? value : value - (1 << size) + 1;
  }
  void require_block() const {
    if (at > end) throw Damage{kEnds};
  }
  void require_end() {
    require_block();
    size_t rest = end - at;
    if (rest >= 8) throw Damage{kMore};
    if (rest) {
      int32_t value = take(static_cast<int>(rest));
      if (value != 0 && value != (1 << rest) - 1) throw Damage{kBad};  // ones, by the standard
    }
  }
};

struct Component {
  int h = 0, v = 0, quantiser = 0;
  int64_t across = 0, down = 0;  // blocks of a scan of this component alone
  std::vector<uint64_t> known;   // progressive: which coefficients are not zero
};

class Scanner {
 public:
  Scanner(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  void run() {
    size_t at = 2;
    for (;;) {
      while (byte(at) == 0xFF && byte(at + 1) == 0xFF) ++at;
      if (byte(at) != 0xFF) return;
      int marker = byte(at + 1);
      if (marker == 0xD9) return;
      if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) {
        at += 2;
        continue;
      }
      size_t length = word(at + 2);
      if (length < 2 || at + 2 + length > size_) throw Unknown{};
      const uint8_t* body = data_ + at + 4;
      size_t count = length - 2;
      at += 2 + length;
      if (marker == 0xC4) {
        huffman(body, count);
      } else if (marker == 0xDB) {
        quantisation(body, count);
      } else if (marker == 0xDD) {
        if (count < 2) throw Unknown{};
        restart_ = body[0] << 8 | body[1];
      } else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC8 && marker != 0xCC) {
        if (marker > 0xC2 || count < 6 || body[0] != 8) return;
        start(body, count, marker == 0xC2);
      } else if (marker == 0xDA) {
        size_t end = scan_end(at);
        scan(body, count, at, end);
        at = end;
      }
    }
  }

 private:
  int byte(size_t at) const {
    if (at >= size_) throw Unknown{};
    return data_[at];
  }
  size_t word(size_t at) const { return size_t(byte(at)) << 8 | size_t(byte(at + 1)); }

  size_t scan_end(size_t at) const {
    for (;;) {
      const void* found = at < size_ ? std::memchr(data_ + at, 0xFF, size_ - at) : nullptr;
      if (!found) throw Damage{kEnds};
      at = static_cast<const uint8_t*>(found) - data_;
      if (at + 1 >= size_) throw Damage{kEnds};
      int next = data_[at + 1];
      if (next == 0 || (next >= 0xD0 && next <= 0xD7)) {
        at += 2;
      } else if (next == 0xFF) {
        ++at;
      } else {
        return at;
      }
    }
  }

  void huffman(const uint8_t* body, size_t count) {
    size_t at = 0;
    while (at < count) {
      if (at + 17 > count) throw Unknown{};
      int id = body[at];
      const uint8_t* counts = body + at + 1;
      const uint8_t* symbols = body + at + 17;
      size_t total = 0;
      for (int i = 0; i < 16; ++i) total += counts[i];
      if (at + 17 + total > count) throw Unknown{};
      // Most JPEGs have the tables of the standard's annex K; making them takes longer than a crop.
      thread_local std::map<std::string, std::shared_ptr<const Table>> made;
      std::string key(reinterpret_cast<const char*>(counts), 16 + total);
      auto found = made.find(key);
      if (found == made.end()) {
        if (made.size() >= 64) made.clear();
        found = made.emplace(key, make_table(counts, symbols)).first;
      }
      tables_[id] = found->second;
      at += 17 + total;
    }
  }

  static std::shared_ptr<const Table> make_table(const uint8_t* counts, const uint8_t* symbols) {
    auto table = std::make_shared<Table>(1 << 16, 0);
    uint32_t code = 0;
    for (int bits = 1; bits <= 16; ++bits) {
      for (int i = 0; i < counts[bits - 1]; ++i) {
        uint32_t first = code << (16 - bits), span = 1u << (16 - bits);
        if (first + span > table->size()) throw Unknown{};
        for (uint32_t k = 0; k < span; ++k) (*table)[first + k] = *symbols << 5 | bits;
        ++symbols;
        ++code;
      }
      code <<= 1;
    }
    return table;
  }

  void quantisation(const uint8_t* body, size_t count) {
    size_t at = 0;
    while (at < count) {
      bool wide = body[at] >> 4;
      size_t next = at + (wide ? 129 : 65);
      if (next > count) throw Unknown{};
      int value = wide ? body[at + 1] << 8 | body[at + 2] : body[at + 1];
      if (!value) throw Unknown{};
      // The samples are -128 to 127, and DC is 8 times their mean; rounded up.
      most_[body[at] & 15] = 1024 / value + 1;
      at = next;
    }
  }

  void start(const uint8_t* body, size_t count, bool progressive) {
    int64_t height = body[1] << 8 | body[2], width = body[3] << 8 | body[4];
    int number = body[5];
    if (!height || !width || height * width > kMostPixels) throw Unknown{};
    if (!number || number > 4 || count < size_t(6 + 3 * number)) throw Unknown{};
    parts_.clear();
    int most_h = 1, most_v = 1;
    for (int i = 0; i < number; ++i) {
      const uint8_t* entry = body + 6 + 3 * i;
      Component part;
      part.h = entry[1] >> 4;
      part.v = entry[1] & 15;
      part.quantiser = entry[2];
      if (part.h < 1 || part.h > 4 || part.v < 1 || part.v > 4) throw Unknown{};
      if (parts_.count(entry[0])) throw Unknown{};
      if (part.h > most_h) most_h = part.h;
      if (part.v > most_v) most_v = part.v;
      parts_[entry[0]] = part;
    }
    auto up = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    wide_ = up(width, 8 * most_h);
    high_ = up(height, 8 * most_v);
    for (auto& item : parts_) {
      Component& part = item.second;
      part.across = up(up(width * part.h, most_h), 8);
      part.down = up(up(height * part.v, most_v), 8);
      if (progressive) part.known.assign(wide_ * part.h * high_ * part.v, 0);
    }
    progressive_ = progressive;
    started_ = true;
  }

  struct Entry {  // a component of a scan
    Component* part;
    const Table *dc, *ac;
    int32_t most, before;
  };

  void scan(const uint8_t* body, size_t count, size_t begin, size_t end) {
    if (!started_ || !count) throw Unknown{};
    int number = body[0];
    if (number < 1 || number > 4 || count < size_t(4 + 2 * number)) throw Unknown{};
    int first = body[1 + 2 * number], last = body[2 + 2 * number], steps = body[3 + 2 * number];
    if (!progressive_) first = 0, last = 63, steps = 0;
    if (last > 63 || first > last || (first && number > 1)) throw Unknown{};
    std::vector<Entry> entries;
    for (int i = 0; i < number; ++i) {
      auto part = parts_.find(body[1 + 2 * i]);
      if (part == parts_.end()) throw Unknown{};
      auto most = most_.find(part->second.quantiser);
      if (most == most_.end()) throw Unknown{};
      auto table = [&](int id) {
        auto found = tables_.find(id);
        return found == tables_.end() ? nullptr : found->second.get();
      };
      int ids = body[2 + 2 * i];
      entries.push_back({&part->second, table(ids >> 4), table(16 + (ids & 15)),
                         (most->second >> (steps & 15)) + 1, 0});
      bool dc = !first && !(steps >> 4), ac = !progressive_ || first;
      if ((dc && !entries.back().dc) || (ac && !entries.back().ac)) throw Unknown{};
    }
    int64_t units = number > 1 ? wide_ * high_ : entries[0].part->across * entries[0].part->down;
    int64_t per_run = restart_ ? restart_ : units;
    int64_t unit = 0;
    int markers = 0;
    size_t at = begin;
    for (;;) {  // from one restart marker to the next
      Bits bits;
      bool marked = false;
      while (at < end) {
        uint8_t value = data_[at];
        if (value != 0xFF) {
          bits.bytes.push_back(value);
          ++at;
          continue;
        }
        int next = at + 1 < end ? data_[at + 1] : 0xFF;
        if (next == 0) {
          bits.bytes.push_back(0xFF);
          at += 2;
        } else if (next >= 0xD0 && next <= 0xD7) {
          if (next != 0xD0 + markers % 8) throw Damage{kBad};
          ++markers;
          marked = true;
          at += 2;
          break;
        } else {
          ++at;  // a fill byte
        }
      }
      if (unit >= units) throw Damage{restart_ ? kBad : kMore};
      bits.end = 8 * bits.bytes.size();
      bits.bytes.insert(bits.bytes.end(), kPadding, 0xFF);
      int64_t stop = unit + per_run < units ? unit + per_run : units;
      decode(bits, entries, unit, stop, first, last, steps);
      bits.require_end();
      unit = stop;
      if (!marked) break;
    }
    if (unit < units) throw Damage{restart_ ? kBad : kMore};
  }

  void decode(Bits& bits, std::vector<Entry>& entries, int64_t unit, int64_t stop, int first,
              int last, int steps) {
    for (Entry& entry : entries) entry.before = 0;
    int64_t skip = 0;
    for (; unit < stop; ++unit) {
      if (entries.size() == 1) {
        Component& part = *entries[0].part;
        int64_t block = unit / part.across * (wide_ * part.h) + unit % part.across;
        one(bits, entries[0], block, first, last, steps, skip);
        continue;
      }
      for (Entry& entry : entries) {
        for (int i = 0; i < entry.part->h * entry.part->v; ++i) {
          one(bits, entry, 0, first, last, steps, skip);
        }
      }
    }
    if (skip) throw Damage{kBad};
  }

  void one(Bits& bits, Entry& entry, int64_t block, int first, int last, int steps, int64_t& skip) {
    if (progressive_ && first) {
      uint64_t& known = entry.part->known[block];
      if (steps >> 4) {
        refine(bits, *entry.ac, known, first, last, skip);
      } else {
        band(bits, *entry.ac, known, first, last, skip);
      }
    } else if (progressive_ && steps >> 4) {
      ++bits.at;
    } else {
      entry.before += bits.difference(bits.symbol(*entry.dc));
      if (entry.before < -entry.most || entry.before > entry.most) throw Damage{kBad};
      if (!progressive_) coefficients(bits, *entry.ac);
    }
    bits.require_block();
  }

  static void coefficients(Bits& bits, const Table& table) {
    int k = 1;
    while (k < 64) {
      int32_t symbol = bits.symbol(table);
      int size = symbol & 15;
      bits.at += size;
      if (size) {
        k += (symbol >> 4) + 1;
      } else if (symbol == 0xF0) {
        k += 16;
      } else if (symbol == 0) {
        break;
      } else {
        throw Damage{kBad};
      }
    }
    if (k > 64) throw Damage{kBad};
  }

  static void band(Bits& bits, const Table& table, uint64_t& known, int first, int last,
                   int64_t& skip) {
    if (skip) {
      --skip;
      return;
    }
    int k = first;
    while (k <= last) {
      int32_t symbol = bits.symbol(table);
      int run = symbol >> 4, size = symbol & 15;
      if (size) {
        k += run;
        if (k > last) throw Damage{kBad};
        bits.at += size;
        known |= uint64_t{1} << k;
        ++k;
      } else if (run == 15) {
        k += 16;
      } else {
        skip = (int64_t{1} << run) - 1 + (run ? bits.take(run) : 0);
        break;
      }
    }
    if (k > last + 1) throw Damage{kBad};
  }

  static void refine(Bits& bits, const Table& table, uint64_t& known, int first, int last,
                     int64_t& skip) {
    uint64_t held = known;
    int k = first;
    if (!skip) {
      while (k <= last) {
        int32_t symbol = bits.symbol(table);
        int run = symbol >> 4, size = symbol & 15;
        if (size > 1) throw Damage{kBad};
        if (size) {
          ++bits.at;
        } else if (run < 15) {
          skip = (int64_t{1} << run) + (run ? bits.take(run) : 0);
          break;
        }
        while (k <= last) {  // pass over `run` coefficients that are zero so far
          if (held >> k & 1) {
            ++bits.at;
          } else if (run) {
            --run;
          } else {
            break;
          }
          ++k;
        }
        if (size) {
          if (k > last) throw Damage{kBad};
          known |= uint64_t{1} << k;
        }
        ++k;
      }
    }
    if (skip) {
      for (; k <= last; ++k) bits.at += held >> k & 1;
      --skip;
    }
  }

  const uint8_t* data_;
  size_t size_;
  std::map<int, std::shared_ptr<const Table>> tables_;
  std::map<int, int32_t> most_;
  std::map<int, Component> parts_;
  int restart_ = 0;
  int64_t wide_ = 0, high_ = 0;
  bool progressive_ = false, started_ = false;
};

}  // namespace

// Returns 0: nothing was found; 1: damaged; 2: the data end early; 3: there are too many.
extern "C" int gluonface_jpeg_damage(const uint8_t* data, size_t size) {
  try {
    Scanner(data, size).run();
  } catch (const Damage& damage) {
    return damage.what;
  } catch (...) {  // damaged headers, or no memory: a decoder tells
  }
  return kNothing;
}
