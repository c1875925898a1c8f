// What the attacks mean for one protection, in words.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "record/matrix.h"

namespace veilnet::report {

/// An attacker with fewer candidates is not counted as recognising anything.
inline constexpr std::uint64_t kFewestCandidates = 10;

/// How bad an answer is, for its colour: nothing was measured, nothing leaks that was measured,
/// something does, most does, everything does.
enum class Severity { Unknown, None, Some, Most, All };

struct Answer {
  std::string level;  ///< one of Question::rule's
  Severity severity = Severity::Unknown;
  std::string text;    ///< what decides it and who that attacker is, sentences for people
  std::string attack;  ///< the strongest, which decides unless a bound does; empty without one
};

/// Four questions, as one word cannot answer them all: a picture that nobody can see can still be
/// recognised among candidates.
struct Verdict {
  Answer seen, rebuilt, recognised, inferred;
};

/// Whether the service itself names pictures of this protection, which has no key, so often that a
/// classifier which names what was made of them proves no leak.
bool made_to_be_named(const record::Matrix& matrix, const record::Protection& protection);

/// The protection's bound, unless an attack went beyond it: then one of the two is wrong.
const record::Bound* standing_bound(const record::Matrix& matrix,
                                    const record::Protection& protection);

struct Question {
  std::string_view text;  ///< "Can a person see it?"
  Answer Verdict::*answer;
  std::string_view rule;  ///< how its answer is reached, for people
};
std::span<const Question> questions();

/// The strongest attack decides each answer.
///
/// Seen: by "look" and "look-blurred". Rebuilt: by all attacks that recover pictures, as far as
/// their figures are not flagged, or flagged as under-trained only: what they leak is then a lower
/// bound; where a flagged figure would be worse, the text says so. In both SSIM counts by its
/// distance from 0, as an inverted picture shows as much. Recognised: by the share of protected
/// pictures whose plain picture is picked among 10 or more candidates; flags do not count, as what
/// is picked is picked. Inferred: by what a classifier reads of attributes beyond chance.
///
/// Where a protection has a bound (record::Bound), it decides on what no attack can do: whether
/// anything beyond the class can be rebuilt, and how often the right candidate can be picked.
///
/// Reconstructions that a classifier of plain pictures names count as content, but not where
/// data.classes is unknown, nor for a protection without keys that the service itself names so
/// often: its pictures are made to be named.
///
/// It is not said that a protection is safe: stronger attacks may recover more.
/// @throws Error{InvalidArgument} for a protection that is not there.
Verdict verdict(const record::Matrix& matrix, const std::string& protection);

/// One line a question: "Can a person see it? No: ...".
std::string to_text(const Verdict& verdict);

/// Who attacks, as a sentence, and one on the keys. @throws Error{BadData} for a name that
/// attack/threat_model.h has not, naming what is allowed.
std::string attacker(const record::ThreatModel& model, bool with_keys = true);

}  // namespace veilnet::report
