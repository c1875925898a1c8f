// The tables of a matrix: the same on the page, on a terminal and in documents.
#pragma once

#include <string>
#include <vector>

#include "record/matrix.h"
#include "report/table.h"

namespace veilnet::report {

/// Plain and protected accuracy of each protection's service, the papers' beside ours.
Table accuracy_table(const record::Matrix& matrix);

/// What a cell says in a word or two: median SSIM and the share recovered exactly, or the share
/// picked out of candidates ("reidentified") where the attacker picks; flagged figures are marked.
std::string cell_text(const record::Cell* cell);

/// Attacks down, protections across.
Table leak_table(const record::Matrix& matrix);
std::string leak_legend(const record::Matrix& matrix);

/// Why cells are flagged, or refused: "reason: attack on protection, protection; ...".
std::vector<std::string> flag_reasons(const record::Matrix& matrix);
std::vector<std::string> refusal_reasons(const record::Matrix& matrix);

/// The four answers for each protection.
Table verdict_table(const record::Matrix& matrix);

/// By protection and measure, the most that an attack reaches whose figure is to be trusted, and
/// which: medians, and shares of pictures. Who picks among candidates counts for "reidentified"
/// only, and there whatever the flags.
Table strongest_table(const record::Matrix& matrix);

/// Whether measures order the cells alike: Spearman's rank correlation of their medians and shares
/// over all cells that were measured, signs such that 1 is agreement. Without rows for fewer than
/// three cells.
Table agreement_table(const record::Matrix& matrix);

/// Every measure of every attack on one protection, baselines below.
Table figures_table(const record::Matrix& matrix, const record::Protection& protection);

/// Without rows where there is nothing.
Table transport_table(const record::Matrix& matrix);
Table attributes_table(const record::Matrix& matrix);
/// What h's encoder alone would name on the client, beside what the service names; no rows where no
/// h starts from one.
Table local_table(const record::Matrix& matrix);
/// What other services make of the same protected pictures; no rows where there is none.
Table services_table(const record::Matrix& matrix);
/// What no attack can do; no rows where no protection has a bound.
Table bounds_table(const record::Matrix& matrix);

/// "epochs 2, known pairs 256".
std::string listed(const record::Settings& settings);

/// For a terminal: accuracies where they were measured, leaks with legend and flags.
std::string matrix_markdown(const record::Matrix& matrix);

/// For a terminal: rows of the comparison table, each a matrix of one protection.
std::string rows_markdown(const std::vector<record::Result>& rows);

}  // namespace veilnet::report
