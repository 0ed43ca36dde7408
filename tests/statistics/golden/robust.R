# The reference for cluster-robust tests: clubSandwich on the data of mixed.R.
#
#   Rscript tests/statistics/golden/robust.R tests/statistics/golden
#
# Debian: r-cran-clubsandwich. Writes robust.csv, which is committed; no test runs R.
suppressPackageStartupMessages(library(clubSandwich))
folder <- commandArgs(trailingOnly = TRUE)[1]
data <- read.csv(file.path(folder, "mixed_data.csv"))
rows <- list()
for (name in unique(data$case)) for (formula in c("1", "x + malignant")) {
  part <- data[data$case == name, ]
  fit <- lm(as.formula(paste("y ~", formula)), part)
  found <- coef_test(fit, vcov = "CR2", cluster = part$slide, test = "Satterthwaite")
  rows[[length(rows) + 1]] <- data.frame(
    case = name, formula = formula, term = names(coef(fit)), estimate = found$beta, se = found$SE,
    df = if (is.null(found$df_Satt)) found$df else found$df_Satt,
    p = if (is.null(found$p_Satt)) found$p_val else found$p_Satt)
}
result <- do.call(rbind, rows)
result[] <- lapply(result, function(column) if (is.numeric(column)) sprintf("%.15g", column) else column)
write.csv(result, file.path(folder, "robust.csv"), row.names = FALSE, quote = FALSE)
writeLines(c(R.version.string, paste("clubSandwich", packageVersion("clubSandwich"))),
           file.path(folder, "robust_versions.txt"))
